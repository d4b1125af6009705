# Mode `syntax` prints the name in ECR of the image of a `# syntax=` line.
function on_mirrored(known, name, raw, lead) {
  if (mode == "syntax" && lead == "=") { print ENVIRON["registry"] "/" place[known]; exit 0 }
}

function at_end() { }
