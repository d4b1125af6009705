look_at_daemon() {
  fault=$(fault_of_daemon)
  if [ -n "$fault" ]; then
    closes_every_upstream=no
    serves_own_platform_only=yes
    takes_names_literally=yes
  fi
}

write_hosts_or_say_why() {
  if [ -z "$fault" ]; then
    each_upstream write_hosts_file
    say "auto: hosts.toml, and the names of the Dockerfiles besides"
  else
    say "auto: the names of the Dockerfiles only; $fault, so --pull, digests and other platforms are not served"
  fi
}
