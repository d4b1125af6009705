hosts_file() {
  printf 'server = "%s"\ncapabilities = ["pull", "resolve"]\noverride_path = true\n' "$2"
}
