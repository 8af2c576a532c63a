// Package render turns the index of a notebook into HTML that is safe within a page of ours.
//
// Everything that a notebook holds is an attack until it is escaped or sanitised. The
// rules, each of which answers a published hole of some viewer:
//
//   - Text, names, tags, titles and metadata are escaped. Markup is put together by type markup,
//     which takes constants as they are and escapes everything else.
//   - HTML and Markdown are balanced first, sanitised last, and never changed afterwards.
//     No id, name, form, style or data-* of the notebook survives; data: is for images alone.
//   - HTML with scripts or styles of its own is not put into the page but into a frame, whose
//     response carries a sandbox policy (see FrameHeaders). SVG is an image, never markup.
//   - Styles are classes, so that pages need no inline style in their policy.
//   - Work and size are bounded for each output.
package render
