# Reads the Dockerfile at path $2 of the source in mode $1.
read_dockerfile() {
  {
    each_image printf 'image %s %s\n'
    each_built printf 'built %s\n'
    each_closed printf 'closed %s\n'
  } |
    dockerfile="$2" build="$build" on_miss="$on_miss" registry="$registry" machine="$(uname -m)" \
      closes_every_upstream="$closes_every_upstream" serves_own_platform_only="$serves_own_platform_only" \
      takes_names_literally="$takes_names_literally" LC_ALL=C \
      awk -v mode="$1" "$dockerfile_program" - "${CODEBUILD_SRC_DIR:-.}/$2"
}

has_dockerfile() {
  if [ -f "${CODEBUILD_SRC_DIR:-.}/$1" ]; then
    return 0
  fi
  [ "$dockerfiles_are_listed" = no ] || give_up "there is no $1 in the source: see dockerfiles of the build $build"
  say "there is no Dockerfile at the root of the source to look at: dockerfiles of the build $build may list others"
  return 1
}
