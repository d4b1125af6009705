log_in_to_docker_hub() {
  secret=$(command aws secretsmanager get-secret-value --region "$region" --secret-id "$secret_id" --query SecretString \
    --output text) || give_up "cannot read $secret_id"
  username=$(secret_field username) || give_up "$secret_id has no username as text"
  password=$(secret_field password) || give_up "$secret_id has no password as text"
  docker_login "$username" || give_up "no login at Docker Hub, tried $attempt times"
  unset secret password
  say "login: base images come from Docker Hub, counted for $username"
}

secret_field() {
  printf %s "$secret" | field="$1" LC_ALL=C awk "$json_program"
}
