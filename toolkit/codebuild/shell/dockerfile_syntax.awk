# Mode `syntax` prints the ECR name of the image in a `# syntax=` line.
function on_mirrored(known, name, raw, lead) {
  if (mode == "syntax" && lead == "=") { print ENVIRON["registry"] "/" place[known]; exit 0 }
}

function at_end() { }
