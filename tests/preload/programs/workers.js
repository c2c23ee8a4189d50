// Workers, buffers, typed arrays, a child process and zlib, in node.
const { createHash } = require('crypto');
const { execFileSync } = require('child_process');
const zlib = require('zlib');
const { Worker, isMainThread, parentPort, workerData } =
    require('worker_threads');

const digest = (data) =>
    createHash('sha256').update(data).digest('hex').slice(0, 16);

function fillBuffers(seed) {
  const held = [];
  for (let i = 0; i < 200; i++) {
    const buffer = Buffer.alloc(1 + (i * 7919 + seed) % 100000, i % 256);
    held.push(i % 2 ? Buffer.from(buffer) : buffer);
  }
  return digest(Buffer.concat(held));
}

async function main() {
  const objects = {};
  for (let i = 0; i < 100000; i++) objects['key' + i] = { i, text: 'v' + i };
  console.log('objects', digest(JSON.stringify(objects)));

  const array = new Float64Array(1 << 20).map((_, i) => Math.sqrt(i));
  console.log('array', digest(Buffer.from(array.buffer)));

  const text = Buffer.from('some text '.repeat(100000));
  console.log('zlib', zlib.inflateSync(zlib.deflateSync(text)).equals(text));

  const answers = await Promise.all([1, 2, 3, 4].map(
      (seed) => new Promise((resolve, reject) => {
        const worker = new Worker(__filename, { workerData: seed });
        worker.on('message', resolve);
        worker.on('error', reject);
      })));
  console.log('workers', answers.join(' '));
  console.log('child', execFileSync('echo', ['hello']).toString().trim());
}

if (isMainThread) {
  main();
} else {
  parentPort.postMessage(fillBuffers(workerData));
}
