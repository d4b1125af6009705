refuse_digests() {
  [ -z "$fault" ] || each_image refuse_digest
}

refuse_digest() {
  case $1 in
    *@*) give_up "$1 cannot be served by this daemon: use the strategy contexts, direct or builder, or Docker 28" ;;
  esac
}
