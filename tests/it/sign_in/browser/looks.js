// What is wrong with how the page looks and how it is announced: a list of sentences, empty where all is well.
const phone = arguments_phone;
const findings = [];
const all = [...document.body.querySelectorAll('*')];
const told = (element) => `<${element.tagName.toLowerCase()}${element.className ? ` class="${element.className.baseVal ?? element.className}"` : ''}> ${element.textContent.trim().slice(0, 40)}`;
const shown = (element) => element.checkVisibility() && element.getClientRects().length > 0;

// === Contrast (WCAG 2.2, 1.4.3 and 1.4.11) ===

const colour = (text) => {
  const [red, green, blue, alpha = 1] = text.match(/[\d.]+/g).map(Number);
  return { red, green, blue, alpha };
};
const over = (top, below) => {
  const mix = (name) => top[name] * top.alpha + below[name] * (1 - top.alpha);
  return { red: mix('red'), green: mix('green'), blue: mix('blue'), alpha: 1 };
};
const ground = (element) => {
  if (!element) return colour(matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(18, 18, 18)' : 'rgb(255, 255, 255)');
  const own = colour(getComputedStyle(element).backgroundColor);
  return own.alpha === 1 ? own : over(own, ground(element.parentElement));
};
const light = ({ red, green, blue }) => {
  const [r, g, b] = [red, green, blue].map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
  const [more, less] = [light(one), light(other)].sort((a, b) => b - a);
  return (more + 0.05) / (less + 0.05);
};
const reads = (element, style, below, what) => {
  const found = contrast(over(colour(style.color), below), below);
  if (found < 4.5) findings.push(`${what} of ${told(element)} has a contrast of ${found.toFixed(2)}`);
};
for (const element of all.filter(shown)) {
  const style = getComputedStyle(element);
  const speaks = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  if (speaks) reads(element, style, ground(element), 'the text');
  const before = getComputedStyle(element, '::before');
  if (!['none', 'normal', '""'].includes(before.content)) {
    const own = colour(before.backgroundColor);
    reads(element, before, own.alpha === 1 ? own : over(own, ground(element)), 'the text before the text');
  }
  if (element.matches('button, a.button')) {
    const around = ground(element.parentElement);
    const edge = Math.max(contrast(ground(element), around), contrast(over(colour(style.borderTopColor), around), around));
    if (edge < 3) findings.push(`the edge of ${told(element)} has a contrast of ${edge.toFixed(2)}`);
  }
  if (style.animationName !== 'none' || style.transitionDuration !== '0s') findings.push(`${told(element)} moves`);
}

// === Space ===

const root = document.documentElement;
if (root.scrollWidth > root.clientWidth) findings.push(`the page scrolls sideways: ${root.scrollWidth} in ${root.clientWidth}`);
for (const element of all.filter(shown)) {
  const { left, right, width, height } = element.getBoundingClientRect();
  const hidden = element.closest('.hidden, thead');
  if (!hidden && (left < -0.5 || right > root.clientWidth + 0.5)) findings.push(`${told(element)} reaches from ${left} to ${right}`);
  if (element.matches('.card') && element.scrollWidth > element.clientWidth) findings.push(`${told(element)} scrolls sideways`);
  if (phone && element.matches('button, a, summary, input:not([type=hidden])') && (width < 44 || height < 44)) {
    findings.push(`${told(element)} is ${width} by ${height}`);
  }
}

// === Structure ===

if (document.documentElement.lang !== 'en') findings.push('no language');
for (const [selector, count] of [['h1', 1], ['main', 1], ['body > header', 1], ['title', 1]]) {
  const found = document.querySelectorAll(selector).length;
  if (found !== count) findings.push(`${found} ${selector}`);
}
let level = 0;
for (const heading of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
  const own = Number(heading.tagName[1]);
  if (own > level + 1) findings.push(`${told(heading)} comes after a heading of level ${level}`);
  level = own;
}
const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
if (new Set(ids).size !== ids.length) findings.push(`an id stands twice: ${ids}`);
for (const element of document.querySelectorAll('[aria-labelledby]')) {
  for (const id of element.getAttribute('aria-labelledby').split(' ')) {
    if (!ids.includes(id)) findings.push(`${told(element)} is named by ${id}, which is not there`);
  }
}
return findings;
