function on_mirrored(known, name, raw, lead) { }

function at_end() { }
