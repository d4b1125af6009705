set -eu

say() {
 printf 'toolkit: %s\n' "$1" >&2
}

give_up() {
 say "$1"
 exit 1
}

for program in aws docker awk; do
 command -v "$program" >/dev/null || give_up "the build's image has no $program, which this step needs"
done

region=eu-west-1
account_id=123456789012

each_image() {
 "$@" nginx:1.16 docker-hub/library/nginx:1.16
 "$@" docker.io/library/nginx:1.16 docker-hub/library/nginx:1.16
 "$@" quay.io/prometheus/node-exporter:v1.8.2 quay/prometheus/node-exporter:v1.8.2
}

find_registry() {
 registry=${TOOLKIT_ECR_REGISTRY:-}
 if [ -z "$registry" ]; then
  registry=$(aws ecr get-authorization-token --region "$region" ${account_id:+--registry-ids "$account_id"} \
   --query 'authorizationData[0].proxyEndpoint' --output text) || give_up "cannot ask ECR in $region for its host"
  registry=${registry#https://}
  case $registry in
   *.*) ;;
   *) give_up "ECR in $region does not say its host: set TOOLKIT_ECR_REGISTRY" ;;
  esac
 fi
 export TOOLKIT_ECR_REGISTRY="$registry"
}

log_in() {
 password=$(aws ecr get-login-password --region "$region") || give_up "no password for ECR in $region"
 [ -n "$password" ] || give_up "an empty password for ECR in $region"
 printf %s "$password" | docker login --username AWS --password-stdin "$registry" || give_up "no login at $registry"
 unset password
}

retag_all() (
 work=$(mktemp -d)
 trap 'rm -rf "$work"' EXIT
 workers=
 for worker in 1 2 3 4; do
  number=0
  each_image retag_if_free &
  workers="$workers $!"
 done
 for worker in $workers; do
  wait "$worker" || : # what it left undone is named below
 done
 failed=0
 number=0
 each_image name_if_failed
 [ "$failed" -eq 0 ] || give_up "$failed of $number base images are not here; is $registry seeded?"
)

retag_if_free() {
 number=$((number + 1))
 if mkdir "$work/$number" 2>/dev/null; then
  retag "$1" "$registry/$2"
 fi
}

retag() {
 case $1 in
  *@*) # No tag can be such a name; hosts.toml serves it.
   : >"$work/$number/done"
   return
   ;;
 esac
 attempt=1
 until docker pull --quiet "$2" >"$work/$number/pulled"; do
  if [ "$attempt" -ge 3 ]; then
   printf 'cannot pull %s for %s, tried %s times' "$2" "$1" "$attempt" >"$work/$number/fault"
   return
  fi
  sleep "$((attempt * 5))"
  attempt=$((attempt + 1))
 done
 if docker tag "$2" "$1"; then
  : >"$work/$number/done"
  say "$1 is $2"
 else
  printf 'cannot tag %s as %s' "$2" "$1" >"$work/$number/fault"
 fi
}

name_if_failed() {
 number=$((number + 1))
 if ! [ -e "$work/$number/done" ]; then
  failed=$((failed + 1))
  say "$(cat "$work/$number/fault" 2>/dev/null || printf 'nobody fetched %s' "$1")"
 fi
}

find_registry
log_in
retag_all
