/** HTML that cannot forget to escape: whatever is put into an `html` template is text, unless it is HTML already. */

export interface Html {
  html: string;
}

/** A tagged template: html`<p>${text}</p>`. An array's elements stand one after the other. */
export function html(parts: TemplateStringsArray, ...values: (string | number | Html | Html[])[]): Html {
  return { html: String.raw({ raw: parts }, ...values.map(toHtml)) };
}

/** Paragraphs, `code` and links: the Markdown that the contracts' descriptions use. */
export function markdown(text: string): Html[] {
  return text
    .trim()
    .split(/\n{2,}/)
    .map((paragraph) => html`<p>${inline(paragraph)}</p>`);
}

function inline(text: string): Html[] {
  // Every other part is one that the pattern has found.
  const parts = text.split(/(`[^`]+`|\[[^\]]+\]\([^)\s]+\))/);
  return parts.map((part, index) => (index % 2 === 0 ? html`${part}` : marked(part)));
}

function marked(part: string): Html {
  const inner = part.slice(1, -1);
  if (part.startsWith('`')) return html`<code>${inner}</code>`;
  const [label = '', address = ''] = inner.split('](');
  return html`<a href="${address}">${label}</a>`;
}

function toHtml(value: string | number | Html | Html[]): string {
  if (Array.isArray(value)) return value.map(toHtml).join('');
  return typeof value === 'object' ? value.html : escape(String(value));
}

function escape(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
