target "default" {
  context = "."
  tags    = ["app"]
}
