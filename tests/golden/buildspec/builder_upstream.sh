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
 "$@" moby/buildkit:buildx-stable-1 docker-hub/moby/buildkit:buildx-stable-1
}

each_upstream() {
 "$@" docker.io registry-1.docker.io docker-hub
 "$@" registry-1.docker.io registry-1.docker.io docker-hub
 "$@" registry.hub.docker.com registry-1.docker.io docker-hub
 "$@" quay.io quay.io quay
}

buildkit=docker-hub/moby/buildkit:buildx-stable-1

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

mirror_of() {
 printf '[registry."%s"]\n  mirrors = ["%s"]\n' "$1" "$registry/$3"
}

make_builder() {
 builder_config=$(mktemp) || give_up "no temporary file"
 each_upstream mirror_of >"$builder_config"
 docker buildx rm --force toolkit >/dev/null 2>&1 || : # from an earlier try
 docker buildx create --name toolkit --driver docker-container --driver-opt "image=$registry/$buildkit" \
  --driver-opt default-load=true --buildkitd-config "$builder_config" --bootstrap ||
  give_up "cannot make a builder of $registry/$buildkit"
 rm -f "$builder_config"
 export BUILDX_BUILDER=toolkit
}

find_registry
log_in
make_builder
