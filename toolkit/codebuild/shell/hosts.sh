# The reason why the daemon does not read hosts.toml files; empty if it does.
fault_of_daemon() {
  case ${DOCKER_HOST:-unix:} in
    unix:*) ;;
    *) printf 'the daemon at %s reads the files of its own machine' "$DOCKER_HOST" && return ;;
  esac
  daemon=$(command docker info --format '{{.ServerVersion}} {{.Driver}} {{.DriverStatus}}') || daemon=
  case $daemon in
    [0-9]*.*' '*io.containerd.snapshotter*) printf 'the images of Docker %s are in containerd' "${daemon%% *}" ;;
    [0-9]*.*)
      [ "${daemon%%.*}" -ge 28 ] || printf 'Docker %s is older than 28' "${daemon%% *}"
      ;;
    *) printf 'no Docker daemon answers' ;;
  esac
}

# The daemon reads the files at each request: digests, --pull, other platforms and `# syntax=` go to ECR too.
write_hosts_file() {
  folder=/etc/docker/certs.d/$1
  mkdir -p "$folder" && hosts_file "$2" "https://$registry/v2/$3" >"$folder/hosts.toml" ||
    give_up "cannot write $folder/hosts.toml"
}
