# Prints the Dockerfile with the names in ECR.
function on_mirrored(known, name, raw, lead) { swap(lead, raw, ENVIRON["registry"] "/" in_ecr(known, name, raw)) }

function at_end(   i) { for (i = 1; i <= count; i++) print line[i] }

# A variable in the tag stays; any other is replaced by its default.
function in_ecr(known, name, raw,   literal) {
  if (!index(raw, "$")) return place[known]
  literal = raw
  sub(/[:@][^\/]*$/, "", literal)
  if (!index(literal, "$") && raw !~ /["\047]/)
    return folder[repository_of(canonical(literal))] substr(raw, length(literal) + 1)
  note(raw " is written down as " name "; a --build-arg does not change it")
  return place[known]
}

# Replaces the first word `old` after `lead` by `new`, after the word of the instruction.
function swap(lead, old, new,   i, start, at, before, behind) {
  for (i = first; i <= last; i++) {
    start = 1
    if (i == first && lead == "" && match(line[i], /^[ \t]*[A-Za-z]+/)) start = RLENGTH + 1
    while ((at = index(substr(line[i], start), lead old)) > 0) {
      at += start - 1
      before = substr(line[i], at - 1, at > 1)
      behind = substr(line[i], at + length(lead old), 1)
      if ((lead == "=" || before ~ /^[ \t,"=]?$/) && behind ~ /^[ \t\r,"\\`]?$/) {
        line[i] = substr(line[i], 1, at - 1) lead new substr(line[i], at + length(lead old))
        return
      }
      start = at + 1
    }
  }
  fault(old " is written over two lines: write it on one")
}
