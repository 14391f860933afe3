// Find text that is cut, faint or beyond the page. Tables and code may scroll sideways in a box of their own.
function find(view, page) {
  const problems = [];
  const width = page.documentElement.clientWidth;
  const name = element => {
    const text = (element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40);
    return `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") || ""}"> ${text}`;
  };
  const scrolls = element => {
    for (let one = element; one && one !== page.body; one = one.parentElement) {
      if (/auto|scroll/.test(view.getComputedStyle(one).overflowX)) return true;
    }
    return false;
  };
  const isShown = element => element.getClientRects().length > 0 && view.getComputedStyle(element).visibility !== "hidden";
  const numbers = colour => (colour.match(/[\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const background = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = numbers(view.getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.9) return colour;
    }
    return view.matchMedia("(prefers-color-scheme: dark)").matches
      && /dark/.test(view.getComputedStyle(page.documentElement).colorScheme) ? [18, 18, 18] : [255, 255, 255];
  };
  if (page.documentElement.scrollWidth > width + 1) {
    problems.push(`the page is ${page.documentElement.scrollWidth} wide on a screen of ${width}`);
  }
  for (const element of page.body.querySelectorAll("*")) {
    if (!isShown(element)) continue;
    const style = view.getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const isHidden = box.right <= 0 || box.width <= 1 || box.height <= 1 || style.position === "fixed";
    if (isHidden) continue;
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (box.right > width + 1 && !scrolls(element) && (own || element.tagName === "IMG")) {
      problems.push(`beyond the page: ${name(element)}`);
    }
    if (!own) continue;
    const isCut = element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1;
    if (isCut && !/auto|scroll/.test(style.overflowX) && style.display !== "inline" && !scrolls(element)) {
      problems.push(`cut: ${name(element)}`);
    }
    if (/hidden|clip/.test(style.overflowY) && element.scrollHeight > element.clientHeight + 1) {
      problems.push(`cut: ${name(element)}`);
    }
    const [text, behind] = [numbers(style.color), background(element)];
    const [high, low] = [luminance(text), luminance(behind)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if ((text[3] === undefined || text[3] > 0.5) && Number(style.opacity) > 0.5 && ratio < 4.5) {
      problems.push(`faint (${ratio.toFixed(1)}): ${name(element)}`);
    }
  }
  return problems;
}
