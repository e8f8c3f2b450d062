"""The tree that the spans of a run make, of any number of processes and traces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from peak_trade.shown.otlp import Span

__all__ = ["Node", "tree"]


class Node(Struct, kw_only=True, eq=False):
    """A span in the tree that its run's spans make, with those that it started, in order of their start.

    Where `span` is None the node stands for a parent that no file holds, as when a process was killed before its span
    ended: it lasts from the first start to the last end of what names it. `slowest` marks the slowest path of each
    trace: the root that took longest, and from there, at each level, the child that took longest; of two alike, the
    first.
    """

    name: str
    trace_id: str
    span_id: str
    start: int
    end: int
    span: Span | None = None
    children: list[Node] = []
    slowest: bool = False

    @property
    def duration_ms(self) -> float:
        """How long it took, in ms."""
        return (self.end - self.start) / 1e6

    @property
    def self_ms(self) -> float:
        """How long it took, in ms, without the time in which one of its children or more were under way."""
        busy, reached = 0, self.start
        for child in self.children:
            start, end = max(child.start, reached), min(child.end, self.end)
            if end > start:
                busy += end - start
                reached = end
        return (self.end - self.start - busy) / 1e6

    def walk(self) -> Iterator[tuple[int, Node]]:
        """Yield this node and all below it with their depth, parents before their children."""
        rest = [(0, self)]
        while rest:
            depth, node = rest.pop()
            yield depth, node
            rest += [(depth + 1, child) for child in reversed(node.children)]


def tree(spans: Sequence[Span]) -> list[Node]:
    """Return the roots of spans of any number of processes and traces, in order of their start.

    Every span stands in it once. A span whose parent is missing stands under a node for it; where spans are each
    other's parents, the one that started first is a root.
    """
    nodes = [
        Node(name=span.name, trace_id=span.trace_id, span_id=span.span_id, start=span.start, end=span.end, span=span)
        for span in spans
    ]
    nodes.sort(key=_order)
    known: dict[tuple[str, str], Node] = {}
    for node in nodes:
        known.setdefault((node.trace_id, node.span_id), node)
    roots: list[Node] = []
    missing: dict[tuple[str, str], Node] = {}
    for node in nodes:
        parent_id = node.span.parent_span_id if node.span else ""
        if not parent_id:
            roots.append(node)
        elif parent := known.get((node.trace_id, parent_id)):
            parent.children.append(node)
        else:
            key = node.trace_id, parent_id
            lost = missing.setdefault(
                key, Node(name="", trace_id=key[0], span_id=key[1], start=node.start, end=node.end)
            )
            lost.end = max(lost.end, node.end)
            lost.children.append(node)
    roots += missing.values()
    _open_cycles(nodes, roots)
    roots.sort(key=_order)
    _mark_slowest(roots)
    return roots


def _open_cycles(nodes: Sequence[Node], roots: list[Node]) -> None:
    """Make a root of the first span of each cycle of parents: no root leads to any of them. `nodes` are in order."""
    reached = {id(node) for root in roots for _, node in root.walk()}
    for node in nodes:
        if id(node) in reached:
            continue
        rest = [node]
        while rest:
            found = rest.pop()
            reached.add(id(found))
            found.children = [child for child in found.children if id(child) not in reached]
            reached |= {id(child) for child in found.children}
            rest += found.children
        roots.append(node)


def _mark_slowest(roots: Sequence[Node]) -> None:
    traces: dict[str, list[Node]] = {}
    for root in roots:
        traces.setdefault(root.trace_id, []).append(root)
    for level in traces.values():
        while level:
            slowest = max(level, key=lambda node: node.end - node.start)  # the first of those that took the same
            slowest.slowest = True
            level = slowest.children


def _order(node: Node) -> tuple[int, int, str]:
    return node.start, -node.end, node.span_id
