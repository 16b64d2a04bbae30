"""What the HTML report does in a browser: filters, and opening everything for paper. Without it the page is complete."""

SCRIPT = """
(() => {
  const form = document.querySelector('form.filters');
  const findings = [...document.querySelectorAll('details.finding')];
  const groups = [...document.querySelectorAll('section.findings')];
  const told = document.getElementById('shown');
  const chosen = (name) => new Set([...form.querySelectorAll(`input[name=${name}]:checked`)].map((box) => box.value));
  const apply = () => {
    const status = chosen('status'), severity = chosen('severity');
    const component = form.elements.component.value, environment = form.elements.environment.value;
    const words = form.elements.words.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const item of findings) {
      const data = item.dataset, text = item.textContent.toLowerCase();
      item.hidden = !(status.has(data.status) && severity.has(data.severity) && (!component || component === data.component)
        && (!environment || environment === data.environment) && words.every((word) => text.includes(word)));
      shown += item.hidden ? 0 : 1;
    }
    for (const group of groups) group.hidden = !group.querySelector('details.finding:not([hidden])');
    told.textContent = `${shown} of ${findings.length} findings shown`;
  };
  form.hidden = false;
  form.addEventListener('input', apply);
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('reset', () => setTimeout(apply));
  document.getElementById('open').addEventListener('click', () => {
    const some = findings.some((item) => !item.hidden && !item.open);
    for (const item of findings) if (!item.hidden) item.open = some;
  });
  let closed = [];
  addEventListener('beforeprint', () => { closed = findings.filter((item) => !item.open); for (const item of closed) item.open = true; });
  addEventListener('afterprint', () => { for (const item of closed) item.open = false; });
  const follow = () => {
    const item = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (item && item.matches('details.finding')) {
      item.hidden = item.closest('section').hidden = false;
      item.open = true;
      item.scrollIntoView();
    }
  };
  addEventListener('hashchange', follow);
  apply();
  follow();
})();
"""
