# The copies are outside the source, so `COPY . .` and git do not see them.
rewrite_dockerfiles() {
  TOOLKIT_DOCKERFILES=$(mktemp -d) || give_up "no temporary folder"
  TOOLKIT_DOCKERFILE=
  each_dockerfile rewrite_dockerfile
  export TOOLKIT_DOCKERFILES TOOLKIT_DOCKERFILE
  say "direct: build with --file \"\$TOOLKIT_DOCKERFILE\""
}

rewrite_dockerfile() {
  has_dockerfile "$1" || return 0
  copy=$TOOLKIT_DOCKERFILES/$1
  mkdir -p "${copy%/*}" && read_dockerfile rewrite "$1" >"$copy" || give_up "cannot write $1 with names in ECR"
  if [ -f "${CODEBUILD_SRC_DIR:-.}/$1.dockerignore" ]; then
    cat "${CODEBUILD_SRC_DIR:-.}/$1.dockerignore" >"$copy.dockerignore"
  fi
  : "${TOOLKIT_DOCKERFILE:=$copy}"
}
