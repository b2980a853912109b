import { describe, expect, it } from '@jest/globals';
import { html, markdown } from '@task-manager/runtime/docs/html';

function render(text: string): string {
  return html`${markdown(text)}`.html;
}

describe('html', () => {
  it('escapes values in text and attributes', () => {
    const text = `<b title="it's">R&D</b>`;
    const escaped = '&lt;b title=&quot;it&#39;s&quot;&gt;R&amp;D&lt;/b&gt;';
    expect(html`<p title="${text}">${text}</p>`).toEqual({ html: `<p title="${escaped}">${escaped}</p>` });
  });

  it('inserts HTML and numbers unchanged and concatenates arrays', () => {
    const items = ['one', '<two>'].map((text) => html`<li>${text}</li>`);
    expect(html`${items} ${[]}${0} ${html`<hr />`}`.html).toBe('<li>one</li><li>&lt;two&gt;</li> 0 <hr />');
  });
});

describe('markdown', () => {
  it('splits paragraphs at empty lines', () => {
    expect(render('\none\nline\n\n\ntwo\n')).toBe('<p>one\nline</p><p>two</p>');
  });

  it('renders code and links', () => {
    expect(render('Send `a b`, then `c`.')).toBe('<p>Send <code>a b</code>, then <code>c</code>.</p>');
    expect(render('See [the docs](/docs) or [RFC 9457](https://rfc.example/9457).')).toBe(
      '<p>See <a href="/docs">the docs</a> or <a href="https://rfc.example/9457">RFC 9457</a>.</p>',
    );
    expect(render('`[no](link)` in [`code`](x)')).toBe('<p><code>[no](link)</code> in <a href="x">`code`</a></p>');
  });

  it('renders everything else as escaped text', () => {
    for (const text of ['`', '``', '`open', '[a] (b)', '[a](b c)', '[](b)', '[a]()', 'a(b)', '[a]']) {
      expect(render(text)).toBe(`<p>${text}</p>`);
    }
    expect(render('`<b>` & <i>')).toBe('<p><code>&lt;b&gt;</code> &amp; &lt;i&gt;</p>');
    expect(render('[<b>](")')).toBe('<p><a href="&quot;">&lt;b&gt;</a></p>');
  });
});
