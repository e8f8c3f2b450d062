"""The repository's own operations: is the checkout fit, what does a pull request hold, what came of its merge.

In reading order: `call` (commands that end), `words` (foreign text on one line and in Markdown), `git` and `gh` (the
two programs that are asked), `git_state` with `pins`, `pull_request`, `merge_log`, `post_merge`.
Nothing here is imported by a run.
"""
