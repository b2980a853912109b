/** HTML templates that escape every value that is not HTML already. */

export interface Html {
  html: string;
}

/** A tagged template: html`<p>${text}</p>`. Arrays are concatenated. */
export function html(parts: TemplateStringsArray, ...values: (string | number | Html | Html[])[]): Html {
  return { html: String.raw({ raw: parts }, ...values.map(toHtml)) };
}

/** The subset of Markdown that the contracts use: paragraphs, `code` and links. */
export function markdown(text: string): Html[] {
  return text
    .trim()
    .split(/\n{2,}/)
    .map((paragraph) => html`<p>${inline(paragraph)}</p>`);
}

function inline(text: string): Html[] {
  // split() with a capturing group returns the matches at odd indexes.
  const parts = text.split(/(`[^`]+`|\[[^\]]+\]\([^)\s]+\))/);
  return parts.map((part, index) => (index % 2 === 0 ? html`${part}` : element(part)));
}

function element(part: string): Html {
  const inner = part.slice(1, -1);
  if (part.startsWith('`')) return html`<code>${inner}</code>`;
  const [label = '', url = ''] = inner.split('](');
  return html`<a href="${url}">${label}</a>`;
}

function toHtml(value: string | number | Html | Html[]): string {
  if (Array.isArray(value)) return value.map(toHtml).join('');
  return typeof value === 'object' ? value.html : escape(String(value));
}

function escape(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
