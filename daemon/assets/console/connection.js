// The WebSocket to the box: connects again by itself, and says so.

import { words } from "./words.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;
// The box says something at least once a second.
const SILENCE_MS = 3000;

// Calls the handlers; returns what sends a message to the box.
export function connect(handlers) {
  let socket = null;
  let wait = FIRST_WAIT_MS;
  let heard = 0;

  function open() {
    const url = new URL("/live", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const mine = new WebSocket(url);
    socket = mine;
    mine.binaryType = "arraybuffer";
    heard = performance.now();
    mine.onopen = () => {
      wait = FIRST_WAIT_MS;
      handlers.connected();
    };
    mine.onmessage = ({ data }) => {
      if (socket !== mine) return;
      heard = performance.now();
      if (data instanceof ArrayBuffer) handlers.picture(data);
      else {
        const { kind, value } = JSON.parse(data);
        handlers[kind]?.(value);
      }
    };
    mine.onclose = () => {
      if (socket === mine) again();
    };
  }

  function again() {
    socket = null;
    const seconds = (wait / 1000).toFixed(wait < 1000 ? 1 : 0);
    handlers.lost(words.live.lost(seconds));
    setTimeout(retry, wait * (0.8 + 0.4 * Math.random()));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }

  // A WebSocket does not say why it was refused; this does.
  async function retry() {
    const session = await fetch("/session").catch(() => null);
    if (session?.status === 401) location.assign("/login");
    else open();
  }

  setInterval(() => {
    if (socket && performance.now() - heard > SILENCE_MS) {
      const silent = socket;
      again();
      silent.close();
    }
  }, SILENCE_MS / 6);

  open();
  return (message) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
}
