/** Redoc without remote or inline scripts. Startup fails when a new release no longer matches a replacement. */
import { redocHtml } from 'redoc-express/dist/redoc-html-template.js';
import type { Html } from './html.ts';

/** The page of redoc-express with elements added to its head and above the reference. */
export function redocPage(title: Html, head: Html, body: Html, assetUrl: (name: string) => string): string {
  return rewrite(redocHtml({ title: title.html, specUrl, redocOptions }), [
    ['<html>', '<html lang="en">'],
    [/<link href="https:\/\/fonts\.googleapis\.com[^>]*>/, head.html],
    ['<div id="redoc-container"></div>', `${body.html}<div id="redoc-container"></div>`],
    [/<script [^>]*src="https:\/\/unpkg\.com[^>]*>/, `<script defer src="${assetUrl('redoc.standalone.js')}">`],
    [inlineScript, ''],
  ]);
}

/** The Redoc bundle without its remote logo and source map. */
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
const font = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const code = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';

// https://redocly.com/docs/redoc/config. A test compares the colours with assets/pages.css.
const redocOptions = {
  scrollYOffset: '.bar',
  nativeScrollbars: true,
  hideDownloadButtons: true,
  hideSecuritySection: true,
  jsonSamplesExpandLevel: 3,
  // Show the payload after the code samples.
  payloadSampleIdx: 2,
  theme: {
    spacing: { sectionVertical: 24 },
    colors: { primary: { main: accent }, text: { primary: ink, secondary: '#51606f' }, border: { dark: '#dbe2e9' } },
    typography: {
      fontSize: '15px',
      fontFamily: font,
      headings: { fontFamily: font, fontWeight: '600' },
      code: { fontFamily: code, color: '#8a2846' },
    },
    sidebar: { backgroundColor: '#f5f7fa', textColor: ink, activeTextColor: accent },
    rightPanel: { backgroundColor: ink },
    fab: { backgroundColor: accent, color: '#ffffff' },
    codeBlock: { backgroundColor: '#0d1622' },
  },
};

/** assets/pages.js plus the script that starts Redoc with the document that pages.js has fetched. */
export function withRedoc(pagesScript: string): string {
  const [, init = ''] = inlineScript.exec(redocHtml({ title: '', specUrl, redocOptions })) ?? [];
  const start = rewrite(init, [[`"${specUrl}"`, 'await reference']]);
  return `${pagesScript}\naddEventListener('DOMContentLoaded', async () => {${start}});\n`;
}

/** Throws when a string to replace is not in the original. */
function rewrite(original: string, replacements: [from: string | RegExp, to: string][]): string {
  return replacements.reduce((current, [from, to]) => {
    const changed = current.replace(from, () => to);
    if (changed === current)
      throw new Error(
        `redoc or redoc-express has changed: ${String(from)} not found. Update packages/runtime/src/docs/redoc.ts.`,
      );
    return changed;
  }, original);
}
