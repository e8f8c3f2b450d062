"""What others vouch for beside the seal: signatures of runs and of the ledger, and anchors that show its age.

`dsse`: the envelope that a signature lies in · `keys`: OpenSSH's keys, which sign and are looked up · `tags`: the
ledger's head as a tag of git · `timestamps`: the same by RFC 3161 · `anchors`: where those of a ledger lie · `check`:
what `verify` says of them all · `told`: what there is, unchecked. `trust.sign` and `trust.anchor` make them.
"""
