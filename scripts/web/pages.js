// What the course's pages do beside what mdBook does for them: draw diagrams, and find words in
// a language that is written without spaces. Nothing comes from another machine.
'use strict';

// --- diagrams

(function () {
    const FONT = '"Open Sans"';
    const blocks = [...document.querySelectorAll('pre.mermaid')];
    if (!blocks.length) {
        return;
    }
    const diagrams = blocks.map(block => {
        const place = document.createElement('div');
        place.className = 'mermaid';
        block.replaceWith(place);
        return { place, text: block.textContent };
    });
    const isDark = () => !/\b(light|rust)\b/.test(document.documentElement.className);
    let drawn = null;

    async function draw() {
        if (drawn === isDark()) {
            return;
        }
        drawn = isDark();
        // A box is as wide as its text was when it was measured.
        await document.fonts.load(`16px ${FONT}`);
        mermaid.initialize({
            startOnLoad: false,
            theme: drawn ? 'dark' : 'neutral',
            fontFamily: `${FONT}, sans-serif`,
        });
        for (const [at, { place, text }] of diagrams.entries()) {
            const { svg } = await mermaid.render(`diagram-${at}`, text);
            place.innerHTML = svg;
        }
    }

    // It is large, and only some pages need it.
    const script = document.createElement('script');
    script.src = path_to_root + '../mermaid.min.js';
    script.onload = () => {
        draw();
        const theme = { attributes: true, attributeFilter: ['class'] };
        new MutationObserver(draw).observe(document.documentElement, theme);
    };
    document.head.append(script);
})();

// --- search

// The index is made of words between spaces. What is written without them is looked for in the
// text itself; a page that has it in its heading comes first.
(function () {
    if (!window.elasticlunr) {
        return;
    }
    const by_words = elasticlunr.Index.prototype.search;
    elasticlunr.Index.prototype.search = function (query, options) {
        if (!/[\u3000-\u9fff]/.test(query)) {
            return by_words.call(this, query, options);
        }
        const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
        const has = text => wanted.every(word => text.toLowerCase().includes(word));
        return Object.entries(this.documentStore.docs)
            .filter(([, doc]) => has(doc.title + ' ' + doc.body))
            .map(([ref, doc]) => ({ ref, doc, score: has(doc.title) ? 2 : 1 }))
            .sort((one, other) => other.score - one.score);
    };
    // A word in the address may have been looked for before this was here, and found nothing. What
    // is asked for twice is looked for once: so something else comes in between.
    const bar = document.getElementById('mdbook-searchbar');
    const word = bar ? bar.value : '';
    for (const again of word ? [`${word}?`, word] : []) {
        bar.value = again;
        bar.dispatchEvent(new Event('keyup'));
    }
})();
