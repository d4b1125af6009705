# A table of buildkitd.toml.
mirror_of() {
  printf '[registry."%s"]\n  mirrors = ["%s"]\n' "$1" "$registry/$3"
}
