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

each_upstream() {
 "$@" docker.io registry-1.docker.io docker-hub
 "$@" registry-1.docker.io registry-1.docker.io docker-hub
 "$@" registry.hub.docker.com registry-1.docker.io docker-hub
 "$@" quay.io quay.io quay
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

fault_of_daemon() {
 case ${DOCKER_HOST:-unix:} in
  unix:*) ;;
  *) printf 'the daemon at %s reads the files of its own machine' "$DOCKER_HOST" && return ;;
 esac
 daemon=$(docker info --format '{{.ServerVersion}} {{.Driver}} {{.DriverStatus}}') || daemon=
 case $daemon in
  [0-9]*.*' '*io.containerd.snapshotter*) printf 'the images of Docker %s are in containerd' "${daemon%% *}" ;;
  [0-9]*.*)
   [ "${daemon%%.*}" -ge 28 ] || printf 'Docker %s is older than 28' "${daemon%% *}"
   ;;
  *) printf 'no Docker daemon answers' ;;
 esac
}

write_hosts_file() {
 folder=/etc/docker/certs.d/$1
 mkdir -p "$folder" && hosts_file "$2" "https://$registry/v2/$3" >"$folder/hosts.toml" ||
  give_up "cannot write $folder/hosts.toml"
}

hosts_file() {
 printf 'server = "https://%s"\n\n[host."%s"]\ncapabilities = ["pull", "resolve"]\noverride_path = true\n' "$1" "$2"
}

write_hosts() {
 fault=$(fault_of_daemon)
 [ -z "$fault" ] || give_up "the strategy hosts is not possible: $fault; use auto"
 each_upstream write_hosts_file
}

find_registry
log_in
write_hosts
