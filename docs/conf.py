"""The site of `docs/`, built by `make docs`: Sphinx with MyST and Furo (CONTRIBUTING says why)."""

project = "base-image-toolkit"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "base-image-toolkit"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_show_copyright = False
# `--force` is an option, no dash.
smartquotes = False
# The slugs of GitHub, so that a link holds there and here.
myst_heading_anchors = 4
# Sample output is text that no lexer knows.
highlight_language = "text"
nitpicky = True
