// Prints what asciinema-player would show of a recording. The player is for web pages; this is the part of it
// that reads and times a recording, without the part that draws it.
import { readdirSync, readFileSync } from "node:fs";

const folder = new URL("node_modules/asciinema-player/dist/", import.meta.url);
const { C: Core } = await import(new URL(readdirSync(folder).find((name) => name.startsWith("core-")), folder));

const logger = Object.fromEntries(["log", "debug", "info", "warn", "error"].map((level) => [level, () => {}]));
const core = new Core({ data: readFileSync(process.argv[2], "utf8") }, { logger, speed: 100, autoPlay: true });
core.addEventListener("output", (texts) => process.stdout.write([texts].flat().join("")));
core.addEventListener("error", (error) => {
  console.error(error);
  process.exit(1);
});
core.addEventListener("ended", () => process.exit(0));
core.terminalReady();
await core.init();
