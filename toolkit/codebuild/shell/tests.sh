# A variable by which Testcontainers takes an image from ECR. What the build has set already stays.
name_to_tests() {
  if eval "[ -z \"\${$1:-}\" ]"; then
    case $2 in
      /*) export "$1=$registry$2" ;;
      *) export "$1=$2" ;;
    esac
    say "Testcontainers finds $1"
  fi
}
