write_hosts_or_say_why() {
  fault=$(fault_of_daemon)
  if [ -z "$fault" ]; then
    each_upstream write_hosts_file
    say "auto: hosts.toml, and the names of the Dockerfiles besides"
  else
    say "auto: the names of the Dockerfiles only; $fault, so --pull, digests and other platforms are not served"
    each_image refuse_digest
  fi
}

refuse_digest() {
  case $1 in
    *@*) give_up "$1 cannot be served by this daemon: use the strategy contexts, direct or builder, or Docker 28" ;;
  esac
}
