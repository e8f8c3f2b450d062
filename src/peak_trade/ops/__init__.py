"""What keeps a checkout and its results in order: git state, pull requests, merges, clean-ups, and `doctor`.

May import evidence, shown and what is below them; no run imports it. In reading order: `words` (foreign text on one
line and in Markdown), `git` and `gh` (the two programs that are asked), `git_state` with `pins`, `pull_request`,
`merge_log`, `post_merge`; `retention`, `doctor`.
"""
