/**
 * Redoc without the internet. redoc-express makes its page and Redoc comes as a bundle; both ask other hosts for scripts,
 * fonts and a logo, and the page starts Redoc with an inline script. Here each of these is replaced, and a newer version
 * that has them in another form fails at start, and so in every test of a service.
 */
import { redocHtml } from 'redoc-express/dist/redoc-html-template.js';
import type { Html } from './html.ts';

/** redoc-express's page, with elements added to its head and above the reference. */
export function redocPage(title: Html, head: Html, body: Html, assetUrl: (name: string) => string): string {
  return rewrite(redocHtml({ title: title.html, specUrl, redocOptions }), [
    ['<html>', '<html lang="en">'],
    [/<link href="https:\/\/fonts\.googleapis\.com[^>]*>/, head.html],
    ['<div id="redoc-container"></div>', `${body.html}<div id="redoc-container"></div>`],
    [/<script [^>]*src="https:\/\/unpkg\.com[^>]*>/, `<script defer src="${assetUrl('redoc.standalone.js')}">`],
    [inlineScript, ''],
  ]);
}

/** Redoc's bundle, without the logo that it fetches and the map that is not served. */
export function redocBundle(bundle: string): string {
  return rewrite(bundle, [
    ['https://cdn.redoc.ly/redoc/logo-mini.svg', 'data:image/svg+xml,<svg xmlns=%22http://www.w3.org/2000/svg%22/>'],
    ['//# sourceMappingURL=redoc.standalone.js.map', ''],
  ]);
}

const specUrl = 'reference.json';
const inlineScript = /<script>(.*?)<\/script>/s;

const ink = '#15202e';
const accent = '#0b6b62';
const text = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const code = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';

// https://redocly.com/docs/redoc/config; the colours are those of assets/pages.css.
const redocOptions = {
  scrollYOffset: '.bar',
  nativeScrollbars: true,
  hideDownloadButtons: true,
  hideSecuritySection: true,
  jsonSamplesExpandLevel: 3,
  // After the code samples.
  payloadSampleIdx: 2,
  theme: {
    spacing: { sectionVertical: 24 },
    colors: { primary: { main: accent }, text: { primary: ink, secondary: '#51606f' }, border: { dark: '#dbe2e9' } },
    typography: {
      fontSize: '15px',
      fontFamily: text,
      headings: { fontFamily: text, fontWeight: '600' },
      code: { fontFamily: code, color: '#8a2846' },
    },
    sidebar: { backgroundColor: '#f5f7fa', textColor: ink, activeTextColor: accent },
    rightPanel: { backgroundColor: ink },
    fab: { backgroundColor: accent, color: '#ffffff' },
    codeBlock: { backgroundColor: '#0d1622' },
  },
};

/** assets/pages.js, and what starts Redoc: the script of redoc-express's page, with the document that pages.js has got. */
export function withRedoc(pagesScript: string): string {
  const [, init = ''] = inlineScript.exec(redocHtml({ title: '', specUrl, redocOptions })) ?? [];
  const started = rewrite(init, [[`"${specUrl}"`, 'await reference']]);
  return `${pagesScript}\naddEventListener('DOMContentLoaded', async () => {${started}});\n`;
}

/** Replaces each of `changes`. Throws when one is not there. */
function rewrite(original: string, changes: [from: string | RegExp, to: string][]): string {
  return changes.reduce((current, [from, to]) => {
    const changed = current.replace(from, () => to);
    if (changed === current) throw new Error(`redoc or redoc-express has changed: ${String(from)} is not in it`);
    return changed;
  }, original);
}
