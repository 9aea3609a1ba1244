// A scan as it arrives: an overview with the message, then every voxel in slabs, those nearest to what is looked at first.
//
// The message is one block of bytes: uint32 length of the header, the header as JSON, then a gzip for each array of the
// overview: int16 voxels, uint8 labels and, where there is heat, uint8 heat. All run along x first, then y, then z, in
// RAS order. A slab is a gzip of its low bytes, then of its high ones.

const TRIES = 3; // of a slab that does not arrive

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

export function headerOf(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return { ...JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))), length };
}

class Level {
  // Arrays of one resolution: `step` voxels of the scan make one here, along each axis; `first` is the lowest slice.
  constructor(shape, step, arrays, first = 0) {
    Object.assign(this, { step, arrays, first });
    this.shape = shape.map((edge) => Math.ceil(edge / step));
    this.steps = [1, this.shape[0], this.shape[0] * this.shape[1]];
  }

  cell(at) {
    return at.map((place, axis) => Math.floor((axis === 2 ? place - this.first : place) / this.step));
  }

  // The voxel of the scan that is shown there, counted from 0.
  voxel(at) {
    return this.cell(at).map((place, axis) => place * this.step + (axis === 2 ? this.first : 0));
  }

  index(at) {
    return this.cell(at).reduce((sum, place, axis) => sum + place * this.steps[axis], 0);
  }
}

export class Scan {
  constructor(header, overview, first) {
    Object.assign(this, { header, overview, first });
    this.names = Object.keys(overview.arrays);
    this.full = null;
    this.failed = false;
  }

  static async read(bytes, header) {
    let from = 4 + header.length;
    const thin = {},
      first = {};
    for (const [key, length] of Object.entries(header.overview)) {
      const body = await inflate(bytes.subarray(from, from + length));
      const [name, only] = key.split("-");
      (only ? first : thin)[name] = name === "voxels" ? new Int16Array(body) : new Uint8Array(body);
      from += length;
    }
    const { shape, step, start } = header;
    return new Scan(header, new Level(shape, step, thin), new Level([shape[0], shape[1], 1], 1, first, start[2]));
  }

  // Take over what has arrived of the scan that was shown before, as far as it is the same.
  takeFrom(before) {
    const { shape, full } = this.header;
    if (!full.voxels) return;
    this.full = new Level(shape, 1, {});
    this.files = {};
    for (const [name, file] of Object.entries(full)) {
      const known = before?.files?.[name];
      this.files[name] = known?.url === file.url ? known : { ...file, here: new Uint8Array(file.ends.length) };
      const Kind = name === "voxels" ? Int16Array : Uint8Array;
      this.files[name].array ??= new Kind(shape[0] * shape[1] * shape[2]);
      this.full.arrays[name] = this.files[name].array;
    }
  }

  get slabs() {
    return this.files.voxels.ends.length;
  }

  has(slab) {
    return this.names.every((name) => this.files[name]?.here[slab]);
  }

  // How much of it is here, 0 to 1.
  get share() {
    if (!this.full) return 0;
    let here = 0;
    for (let slab = 0; slab < this.slabs; slab++) here += this.has(slab);
    return here / this.slabs;
  }

  // Nothing more comes.
  get complete() {
    return this.header.step === 1 || this.header.tooLarge > 0 || this.failed || this.share === 1;
  }

  // The finest level that holds all of a plane.
  level(through, at) {
    const here = this.full && (through === 2 ? this.has(this.slabOf(at[2])) : this.share === 1);
    if (here) return this.full;
    return through === 2 && at[2] === this.first.first && this.first.arrays.voxels ? this.first : this.overview;
  }

  slabOf(slice) {
    return Math.floor(slice / this.files.voxels.depth);
  }

  // Fetch all slabs, the nearest to `nearest()` first; `arrived(slab)` is called after each.
  async load(nearest, arrived, signal) {
    if (!this.full) return;
    const left = new Set(Array.from({ length: this.slabs }, (_, slab) => slab).filter((slab) => !this.has(slab)));
    const work = async () => {
      while (left.size && !signal.aborted) {
        const here = this.slabOf(nearest());
        const slab = [...left].reduce((a, b) => (Math.abs(b - here) < Math.abs(a - here) ? b : a));
        left.delete(slab);
        for (const file of Object.values(this.files)) if (!file.here[slab]) await this.fetch(file, slab, signal);
        if (!signal.aborted) arrived(slab);
      }
    };
    try {
      await Promise.all([work(), work()]); // one is unpacked while another is on its way
    } catch {
      if (signal.aborted) return;
      this.failed = true;
      arrived(-1);
    }
  }

  async fetch(file, slab, signal) {
    const from = slab ? file.ends[slab - 1] : 0;
    for (let tries = 1; ; tries++) {
      try {
        const answer = await fetch(file.url, { headers: { Range: `bytes=${from}-${file.ends[slab] - 1}` }, signal });
        if (answer.status !== 206) throw new Error(`expected a part of the scan, got ${answer.status}`);
        const bytes = new Uint8Array(await inflate(await answer.arrayBuffer()));
        const start = slab * file.depth * this.full.steps[2];
        if (file.array instanceof Uint8Array) file.array.set(bytes, start);
        else {
          const count = bytes.length / 2;
          for (let i = 0; i < count; i++) file.array[start + i] = bytes[i] | (bytes[count + i] << 8);
        }
        file.here[slab] = 1;
        return;
      } catch (error) {
        if (signal.aborted || tries === TRIES) throw error;
        await new Promise((go) => setTimeout(go, 500 * tries));
      }
    }
  }
}
