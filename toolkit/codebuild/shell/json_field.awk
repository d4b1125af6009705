# Prints the text of the field `field` of a JSON object.
{ text = text (NR > 1 ? "\n" : "") $0 }

END {
  at = 1
  depth = 0
  name = ""
  while (at <= length(text)) {
    c = substr(text, at, 1)
    if (c == "\"") {
      value = string()
      if (depth == 1 && match(substr(text, at), /^[ \t\r\n]*:/)) { name = value; at += RLENGTH }
      else if (depth == 1 && name == ENVIRON["field"] && value != "") { printf "%s", value; exit 0 }
      continue
    }
    if (c == "{" || c == "[") depth++
    if (c == "}" || c == "]") depth--
    at++
  }
  exit 1
}

# Reads the string at `at`, and moves `at` past it.
function string(   out, c) {
  out = ""
  for (at++; at <= length(text); at++) {
    c = substr(text, at, 1)
    if (c == "\"") { at++; return out }
    if (c == "\\") {
      c = substr(text, ++at, 1)
      if (c == "u") { out = out utf8(code_point()); continue }
      if (c == "n") c = "\n"
      else if (c == "t") c = "\t"
      else if (c == "r") c = "\r"
      else if (c == "b") c = "\b"
      else if (c == "f") c = "\f"
    }
    out = out c
  }
  return out
}

function hex4(   value, i) {
  value = 0
  for (i = 0; i < 4; i++) value = value * 16 + index("0123456789abcdef", tolower(substr(text, ++at, 1))) - 1
  return value
}

function code_point(   high) {
  high = hex4()
  if (high < 55296 || high > 56319 || substr(text, at + 1, 2) != "\\u") return high
  at += 2
  return 65536 + (high - 55296) * 1024 + hex4() - 56320
}

function utf8(code) {
  if (code < 128) return sprintf("%c", code)
  if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
  if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
  return sprintf("%c", 240 + int(code / 262144)) sprintf("%c%c%c", 128 + int(code / 4096) % 64, \
    128 + int(code / 64) % 64, 128 + code % 64)
}
