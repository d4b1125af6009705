<begin.sh>

region=eu-central-1
secret_id=arn:aws:secretsmanager:eu-central-1:123456789012:secret:hub-AbCdEf

json_program='<json_field.awk>
'

<docker_hub.sh>

log_in_to_docker_hub
