write_hosts() {
  fault=$(fault_of_daemon)
  [ -z "$fault" ] || give_up "the strategy hosts is not possible: $fault; use auto"
  each_upstream write_hosts_file
}
