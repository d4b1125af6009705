# A generated project gets the host as a variable. Elsewhere ECR reports it: the suffix varies by partition.
find_registry() {
  registry=${TOOLKIT_ECR_REGISTRY:-}
  if [ -z "$registry" ]; then
    # The query leaves the token out.
    registry=$(command aws ecr get-authorization-token --region "$region" ${account_id:+--registry-ids "$account_id"} \
      --query 'authorizationData[0].proxyEndpoint' --output text) || give_up "cannot ask ECR in $region for its host"
    registry=${registry#https://}
    case $registry in
      *.*) ;;
      *) give_up "ECR in $region does not say its host: set TOOLKIT_ECR_REGISTRY" ;;
    esac
  fi
  export TOOLKIT_ECR_REGISTRY="$registry"
}

check_daemon() {
  command docker info >/dev/null 2>&1 ||
    give_up "no Docker daemon answers: turn on the project's privileged mode; an image of your own has to start dockerd"
}

log_in() {
  # Unlike `eval $(aws ...)` this fails when aws fails.
  password=$(command aws ecr get-login-password --region "$region") || give_up "no password for ECR in $region"
  [ -n "$password" ] || give_up "an empty password for ECR in $region"
  docker_login AWS "$registry" || give_up "no login at $registry, tried $attempt times"
  unset password
}
