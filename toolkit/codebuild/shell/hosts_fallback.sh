hosts_file() {
  printf 'server = "https://%s"\n\n[host."%s"]\ncapabilities = ["pull", "resolve"]\noverride_path = true\n' "$1" "$2"
}
