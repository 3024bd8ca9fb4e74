// Reads a download from its first byte to its last with the package unzipper, as a Node program behind a pipe does.
const { createHash } = require("node:crypto");
const { createReadStream } = require("node:fs");
const unzipper = require("unzipper");

async function read(bytes, place) {
  for await (const entry of bytes.pipe(unzipper.Parse({ forceStream: true }))) {
    const name = place + entry.path;
    if (name.endsWith(".zip")) {
      await read(entry, `${name}!`);
    } else {
      const digest = createHash("sha1");
      for await (const piece of entry) digest.update(piece);
      console.log(`${digest.digest("hex")} ${name}`);
    }
  }
}

(async () => {
  for (const file of process.argv.slice(2)) await read(createReadStream(file), "");
})();
