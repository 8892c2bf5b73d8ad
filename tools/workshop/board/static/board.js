// Put the newest page in place of this one, every few seconds, while somebody looks.
const EVERY_MS = 5000;
const HEADERS = { "X-XSRFToken": document.documentElement.dataset.token };

async function renew() {
  if (document.hidden) return;
  let fresh = null;
  try {
    const answer = await fetch(location.href, { cache: "no-store", headers: HEADERS });
    if (answer.redirected) return location.reload(); // to log in again
    if (answer.ok) fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch { /* said below */ }
  const main = document.querySelector("main");
  if (!fresh) {
    document.querySelector(".stale").hidden = false;
    return;
  }
  const grid = document.querySelector(".scroll")?.scrollLeft ?? 0;
  const focus = main.contains(document.activeElement) ? document.activeElement : null;
  const place = focus ? [...main.querySelectorAll("a, [tabindex]")].indexOf(focus) : -1;
  main.replaceWith(fresh.querySelector("main"));
  const scroll = document.querySelector(".scroll");
  if (scroll) scroll.scrollLeft = grid;
  if (place >= 0) document.querySelectorAll("main a, main [tabindex]")[place]?.focus({ preventScroll: true });
}

setInterval(renew, EVERY_MS);
document.addEventListener("visibilitychange", renew);
