"""Formulas as MathML, which browsers show without a script, and screen readers read."""

from docutils import nodes
from latex2mathml.converter import convert


def mathml(latex: str, display: str) -> str:
    """Return a formula as MathML, `display` "inline" or "block".

    Raises:
        ValueError: for an alignment, of which latex2mathml makes no table.
    """
    formula = convert(latex, display=display)
    if "<mi>&</mi>" in formula:
        raise ValueError(f"a formula must have no alignment by &; received {latex}")
    # Browsers know no bold in MathML; `site.css` does.
    return formula.replace('mathvariant="bold"', 'class="bold"')


def visit_inline(translator, node):
    """Write a formula within a line."""
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(translator, node):
    """Write a formula on a line of its own, with its number if it has one."""
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    if node["number"]:
        translator.body.append(f'<span class="eqno">({node["number"]})</span>')
    translator.body.append(f"{mathml(node.astext(), 'block')}</div>\n")
    raise nodes.SkipNode


def setup(app):
    """Register the extension."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True}
