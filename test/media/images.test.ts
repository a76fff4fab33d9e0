import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import sharp from 'sharp'
import { startMedia, type TestMedia } from '../support/media.ts'

let media: TestMedia
let ann: string
before(async () => {
  media = await startMedia()
  ann = await media.user()
})
after(() => media.close())

const bytesOf = async (address: string | undefined): Promise<Buffer> => {
  const response = await media.fetch(address)
  assert.equal(response.status, 200)
  return Buffer.from(await response.arrayBuffer())
}

/** Red above, blue below: what is up can be told. */
const twoHalves = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#0000ff' } }).composite([
    {
      ...{ top: 0, left: 0 },
      input: { create: { width, height: height / 2, channels: 3, background: '#ff0000' } },
    },
  ])

const colourAt = async (image: Buffer, left: number, top: number): Promise<'red' | 'blue'> => {
  const [red = 0, , blue = 0] = await sharp(image).extract({ left, top, width: 1, height: 1 }).raw().toBuffer()
  return red > blue ? 'red' : 'blue'
}

describe('an image', () => {
  test('is served without what the camera wrote into it, and upright', async () => {
    const gps = { GPSLatitudeRef: 'N', GPSLatitude: '52/1 30/1 0/1' }
    const taken = await twoHalves(80, 60)
      .jpeg({ quality: 95 })
      .withExif({ IFD0: { Copyright: 'SECRET OWNER', Model: 'SECRET CAMERA' }, IFD3: gps })
      // turned by 90 degrees: what is on its left is shown above
      .withMetadata({ orientation: 6, exif: { IFD0: { Copyright: 'SECRET OWNER' }, IFD3: gps } })
      .toBuffer()
    assert.ok(taken.includes('SECRET OWNER') && (await sharp(taken).metadata()).orientation === 6)

    const { url, thumbnailUrl, preview, ...facts } = await media.upload(ann, taken, 'photo.jpg', 'image/jpeg')
    assert.deepEqual(
      { kind: facts.kind, mime: facts.mime, width: facts.width, height: facts.height, name: facts.name },
      { kind: 'image', mime: 'image/jpeg', width: 60, height: 80, name: 'photo.jpg' },
    )
    const served = await bytesOf(url)
    assert.equal(served.length, facts.bytes)
    const found = await sharp(served).metadata()
    assert.deepEqual(
      [found.exif, found.xmp, found.iptc, found.icc, found.orientation],
      [undefined, undefined, undefined, undefined, undefined],
    )
    assert.ok(!served.includes('SECRET'))
    const upright = await sharp(taken).autoOrient().png().toBuffer()
    for (const [left, top] of [
      [5, 40],
      [55, 40],
    ] as const)
      assert.equal(await colourAt(served, left, top), await colourAt(upright, left, top))
    assert.notEqual(await colourAt(served, 5, 40), await colourAt(served, 55, 40))
    for (const small of [await bytesOf(thumbnailUrl), dataOf(preview)]) {
      const { format, width = 0, height = 0, exif } = await sharp(small).metadata()
      assert.deepEqual([format, width < height, exif], ['webp', true, undefined])
    }
  })

  test('stays what it is, but for AVIF', async () => {
    const image = () => twoHalves(40, 20)
    const formats = {
      'image/jpeg': image().jpeg(),
      'image/png': image().png(),
      'image/webp': image().webp(),
      'image/gif': image().gif(),
      'image/avif': image().avif(),
    }
    for (const [mime, made] of Object.entries(formats)) {
      for (const declared of [mime, 'application/octet-stream', 'image/png']) {
        const attachment = await media.upload(ann, await made.clone().toBuffer(), 'x', declared)
        const expected = mime === 'image/avif' ? 'image/webp' : mime
        assert.deepEqual([attachment.kind, attachment.mime], ['image', expected])
        const response = await media.fetch(attachment.url)
        assert.equal(response.headers.get('content-type'), expected)
        const { format, width, height } = await sharp(Buffer.from(await response.arrayBuffer())).metadata()
        assert.deepEqual([`image/${format}`, width, height], [expected, 40, 20])
      }
    }
  })

  test('that moves keeps moving, at its pace', async () => {
    const frames = await Promise.all(
      ['#ff0000', '#00ff00', '#0000ff'].map((background) =>
        sharp({ create: { width: 30, height: 20, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    )
    const moving = sharp(frames, { join: { animated: true } })
    const timing = { delay: [100, 200, 300], loop: 2 }
    for (const [mime, made] of [
      ['image/gif', moving.clone().gif(timing)],
      ['image/webp', moving.clone().webp(timing)],
    ] as const) {
      const attachment = await media.upload(ann, await made.toBuffer(), 'x', mime)
      assert.deepEqual([attachment.mime, attachment.width, attachment.height], [mime, 30, 20])
      const { pages, delay, loop } = await sharp(await bytesOf(attachment.url), { animated: true }).metadata()
      assert.deepEqual({ pages, delay, loop }, { pages: 3, ...timing })
      const still = await sharp(await bytesOf(attachment.thumbnailUrl), { animated: true }).metadata()
      assert.deepEqual([still.pages ?? 1, still.width, still.height], [1, 30, 20])
    }
  })

  test('has a thumbnail of at most 512 pixels and a preview of a few hundred bytes, and is never enlarged', async () => {
    for (const [width, height, thumbnail] of [
      [1200, 600, [512, 256]],
      [600, 1200, [256, 512]],
      [10, 5, [10, 5]],
      [1500, 1, [512, 1]],
    ] as const) {
      const made = sharp({ create: { width, height, channels: 3, background: '#336699' } })
      const { thumbnailUrl, preview, ...facts } = await media.upload(ann, await made.png().toBuffer())
      assert.deepEqual([facts.width, facts.height], [width, height])
      const small = await sharp(await bytesOf(thumbnailUrl)).metadata()
      assert.deepEqual([small.format, small.width, small.height], ['webp', ...thumbnail])
      const tiny = await sharp(dataOf(preview)).metadata()
      assert.ok(Math.max(tiny.width, tiny.height) <= 24 && (preview?.length ?? 0) < 1_000, preview)
    }
  })

  test('with something behind it is served without that', async () => {
    const behind = Buffer.from('PK\x03\x04<script>alert(1)</script>EVIL')
    for (const made of [twoHalves(20, 20).jpeg(), twoHalves(20, 20).png(), twoHalves(20, 20).gif()]) {
      const { url, thumbnailUrl } = await media.upload(ann, Buffer.concat([await made.toBuffer(), behind]))
      for (const address of [url, thumbnailUrl]) assert.ok(!(await bytesOf(address)).includes('EVIL'))
    }
  })

  test('of many at once is made as well as alone', async () => {
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        sharp({ create: { width: 20 + i, height: 10, channels: 3, background: '#336699' } })
          .png()
          .toBuffer(),
      ),
    )
    const attachments = await Promise.all(made.map((image) => media.upload(ann, image)))
    assert.deepEqual(
      attachments.map(({ width }) => width),
      made.map((_, i) => 20 + i),
    )
  })
})

const dataOf = (preview: string | undefined): Buffer => {
  const [, data] = /^data:image\/webp;base64,([A-Za-z0-9+/=]+)$/.exec(preview ?? '') ?? []
  assert.ok(data, preview)
  return Buffer.from(data, 'base64')
}
