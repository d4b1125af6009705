# Reads the facts (`image NAME PLACE`, `built NAME`, `closed REGISTRY`) and then a Dockerfile, and finds the images that
# it names. An ONBUILD trigger belongs to builds that start from the result. Mirrored images are handled by `on_mirrored`
# and `at_end`, which other files define.

NR == FNR && $1 == "image" {
  place[canonical($2)] = $3
  without = $3
  sub(/[:@][^\/]*$/, "", without)
  folder[repository_of(canonical($2))] = without
  next
}
NR == FNR && $1 == "built" { built[canonical($2)] = 1; next }
NR == FNR { closed[$2] = 1; next }
{ line[++count] = $0 }

END {
  arch = ENVIRON["machine"] == "aarch64" ? "arm64" : "amd64"
  arg["TARGETOS"] = arg["BUILDOS"] = "linux"
  arg["TARGETARCH"] = arg["BUILDARCH"] = arch
  arg["TARGETPLATFORM"] = arg["BUILDPLATFORM"] = "linux/" arch
  arg["TARGETVARIANT"] = arg["BUILDVARIANT"] = ""
  is_global = 1
  stages = 0
  for (first = directives(); first <= count; first = last + 1) instruction()
  judge_misses()
  at_end()
  close("cat >&2")
  exit faults > 0
}

function note(text) { print "toolkit: " ENVIRON["dockerfile"] ":" first ": " text | "cat >&2" }

function fault(text) { note(text); faults++ }

# A stage that the last one does not need is not built; if it is, its upstream is closed.
function judge_misses(   i, other) {
  needed[stages - 1] = 1
  for (i = stages - 1; i > 0; i--)
    if (i in needed) for (other = 0; other < i; other++) if ((i, other) in needs) needed[other] = 1
  for (i = 1; i <= misses; i++) {
    first = miss_line[i]
    if (miss_stage[i] in needed) fault(miss_text[i])
    else note(miss_text[i] "; the last stage does without it")
  }
}

# The canonical name, with its digest or else its tag.
function canonical(name,   digest, tag, host) {
  digest = tag = ""
  if (match(name, /@.*$/)) { digest = substr(name, RSTART); name = substr(name, 1, RSTART - 1) }
  if (match(name, /:[^:\/]*$/)) { tag = substr(name, RSTART); name = substr(name, 1, RSTART - 1) }
  host = name
  sub(/\/.*/, "", host)
  if (index(name, "/") && (host ~ /[.:]/ || host == "localhost")) name = substr(name, length(host) + 2)
  else host = "docker.io"
  host = tolower(host)
  if (host == "index.docker.io" || \
      (host ~ /^registry(-1\.docker\.io|\.hub\.docker\.com)$/ && ENVIRON["takes_names_literally"] != "yes"))
    host = "docker.io"
  if (host == "docker.io" && !index(name, "/")) name = "library/" name
  return host "/" name (digest != "" ? digest : tag != "" ? tag : ":latest")
}

function repository_of(name) { sub(/[:@][^\/]*$/, "", name); return name }

function familiar(name) { sub(/^docker\.io\//, "", name); sub(/^library\//, "", name); return name }

# Reads the directives `# key=value` at the top; returns the number of the line that ends them.
function directives(   text, key, value) {
  escape = "\\\\"
  sub(/^\357\273\277/, "", line[1])
  for (first = 1; first <= count; first++) {
    text = line[first]
    sub(/[ \t\r]+$/, "", text)
    if (first == 1 && text ~ /^#!/) continue
    if (text !~ /^#[ \t]*[A-Za-z][A-Za-z0-9]*[ \t]*=/) break
    key = value = text
    gsub(/^#[ \t]*|[ \t]*=.*/, "", key)
    sub(/^[^=]*=[ \t]*/, "", value)
    if (tolower(key) == "escape" && value == "`") escape = "`"
    last = first
    if (tolower(key) == "syntax") { sub(/[ \t].*/, "", value); use(value, value, "=") }
  }
  return first
}

# Reads the instruction that begins on line `first`, if any; sets `last` to its last line.
function instruction(   text, part, words, i, key) {
  text = ""
  for (last = first; last <= count; last++) {
    part = line[last]
    sub(/\r$/, "", part)
    if (part ~ /^[ \t]*(#.*)?$/) { if (text == "") return; continue }
    if (part !~ ("(^|[^" escape "])" escape "[ \t]*$")) { text = text part; break }
    sub(escape "[ \t]*$", "", part)
    text = text part " "
    if (part ~ /[^ \t]$/) sub(/ $/, "", text)
  }
  if (last > count) last = count
  sub(/^[ \t]+/, "", text)
  words = split(text, word, /[ \t]+/)
  i = 2
  key = tolower(word[1])
  if (key == "arg" && is_global) for (; i <= words; i++) set_arg(word[i])
  else if (key == "from") from(i)
  else if (key == "copy" || key == "run") for (; word[i] ~ /^--/; i++) flag(word[i])
  if (key ~ /^(copy|add|run)$/) for (i = 2; i <= words; i++) {
    if (word[i] ~ /^[0-9]*<<$/) word[i + 1] = word[i] word[i + 1]
    else skip_heredoc(word[i])
  }
  split("", word)
}

function set_arg(text,   at, value) {
  if (!(at = index(text, "="))) return
  value = substr(text, at + 1)
  gsub(/["\047]/, "", value)
  value = expand(value)
  if (!unresolved) arg[substr(text, 1, at - 1)] = value
}

function from(i,   raw, name) {
  is_global = 0
  for (; word[i] ~ /^--/; i++) if (word[i] ~ /^--platform=/) platform(substr(word[i], 12))
  raw = word[i]
  name = expand(raw)
  gsub(/["\047]/, "", name)
  if (unresolved) {
    if (mode == "rewrite") fault(raw " has no default, so what it means cannot be put in its place")
    else note(raw " depends on a build argument: it is not looked at")
  } else if (tolower(name) in stage) needs[stages, stage[tolower(name)]] = 1
  else if (name != "scratch") use(name, raw, "")
  if (tolower(word[i + 1]) == "as") stage[tolower(word[i + 2])] = stages
  stage[stages] = stages
  stages++
}

# The legacy builder silently uses the platform of the machine; BuildKit contacts the upstream.
function platform(text,   name) {
  name = expand(text)
  if (!unresolved && name != arg["BUILDPLATFORM"] && ENVIRON["serves_own_platform_only"] == "yes" && mode == "check")
    fault("images that were given their name are for " arg["BUILDPLATFORM"] ", not " name \
      ": choose another strategy for the build `" ENVIRON["build"] "`")
}

function flag(text,   parts, part, i) {
  if (text ~ /^--from=/) used_from(substr(text, 8), "--from=")
  else if (text ~ /^--mount=/) {
    parts = split(substr(text, 9), part, ",")
    for (i = 1; i <= parts; i++) {
      gsub(/"/, "", part[i])
      if (part[i] ~ /^from=/) used_from(substr(part[i], 6), "from=")
    }
  }
}

function used_from(name, lead) {
  gsub(/["\047]/, "", name)
  if (tolower(name) in stage) needs[stages - 1, stage[tolower(name)]] = 1
  else if (name != "" && name != "scratch" && !index(name, "$")) use(name, name, lead)
}

# The lines of a heredoc are not instructions.
function skip_heredoc(text,   name, i, part) {
  if (text !~ /^[0-9]*<<-?["\047]?[A-Za-z_][A-Za-z0-9_.]*["\047]?$/) return
  name = text
  gsub(/^[0-9]*<<-?|["\047]/, "", name)
  for (i = last + 1; i <= count; i++) {
    part = line[i]
    sub(/\r$/, "", part)
    if (text ~ /<<-/) sub(/^\t+/, "", part)
    if (part == name) { last = i; return }
  }
}

# Sets `unresolved` if a value is missing.
function expand(text) { unresolved = 0; return expanded(text) }

function expanded(text,   out, at, name, op, value, depth, i) {
  out = ""
  while ((at = index(text, "$")) > 0) {
    out = out substr(text, 1, at - 1)
    text = substr(text, at + 1)
    op = ""
    if (text ~ /^\{/) {
      depth = 1
      for (i = 2; i <= length(text) && depth > 0; i++) {
        if (substr(text, i, 1) == "{") depth++
        if (substr(text, i, 1) == "}") depth--
      }
      op = substr(text, 2, i - 3)
      text = substr(text, i)
      match(op, /^[A-Za-z_0-9]*/)
      name = substr(op, 1, RLENGTH)
      op = substr(op, RLENGTH + 1)
    } else {
      match(text, /^[A-Za-z_0-9]*/)
      name = substr(text, 1, RLENGTH)
      text = substr(text, RLENGTH + 1)
    }
    value = (name in arg) ? arg[name] : ""
    if (op == "") { if (!(name in arg)) unresolved = 1 }
    else if (op ~ /^:?-/) { if (!(name in arg) || (op ~ /^:/ && value == "")) value = expanded(after(op)) }
    else if (op ~ /^:?\+/) value = (name in arg) && (op !~ /^:/ || value != "") ? expanded(after(op)) : ""
    else unresolved = 1
    out = out value
  }
  return out text
}

function after(op) { sub(/^:?[-+]/, "", op); return op }

# Judges `name`, the expanded form of `raw`, which follows `lead`.
function use(name, raw, lead,   known, host, is_closed, text) {
  known = canonical(name)
  if (!(known in place) && is_home_by_digest(known)) {
    note(familiar(known) " is not listed: the build fails if ECR lacks it")
    place[known] = folder[repository_of(known)] substr(known, index(known, "@"))
  }
  if (known in place) { on_mirrored(known, name, raw, lead); return }
  if (known in built) return
  host = known
  sub(/\/.*/, "", host)
  known = familiar(known)
  if (!(host in closed)) note(known " is not mirrored, and comes from " host)
  else if (ENVIRON["on_miss"] == "upstream") note(known " is not listed, and comes from its upstream")
  else {
    is_closed = host == "docker.io" || ENVIRON["closes_every_upstream"] == "yes"
    text = known " is not listed: add `- " known "` to `images` of the build `" ENVIRON["build"] \
      "`, and to the `images` of the manifest if they lack it"
    if (lead == "=") fault(text ", or say `build_tools: true`")
    else if (!is_closed) fault(text)
    else if (index(raw, "$")) note(raw " is not listed as " known "; a build argument may change it")
    else {
      miss_line[++misses] = first
      miss_stage[misses] = lead == "" ? stages : stages - 1
      miss_text[misses] = text
    }
  }
}

# Whether an unlisted digest is requested from ECR only.
function is_home_by_digest(known) {
  return index(known, "@") && (repository_of(known) in folder) && ENVIRON["on_miss"] == "fail" && \
    (mode == "rewrite" || ENVIRON["closes_every_upstream"] == "yes")
}
