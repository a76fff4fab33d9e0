/** No drawing that people send each other is larger; what is, nobody reads through. */
export const maxSvgBytes = 4 * 1024 * 1024

/** What a plain drawing is made of: shapes, words, paints and filters. Nothing that runs, leads away or loads anything. */
const elements = new Set(
  (
    'svg g defs symbol use title desc path rect circle ellipse line polyline polygon text tspan textPath style ' +
    'linearGradient radialGradient stop clipPath mask pattern marker filter feBlend feColorMatrix feComponentTransfer ' +
    'feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight feDropShadow feFlood feFuncA feFuncB ' +
    'feFuncG feFuncR feGaussianBlur feMerge feMergeNode feMorphology feOffset fePointLight feSpecularLighting feSpotLight ' +
    'feTile feTurbulence'
  ).split(' '),
)

const prolog = /^(?:\s+|<\?[\s\S]*?\?>|<!--[\s\S]*?-->|<!DOCTYPE[^>[]*(?:\[[\s\S]*?\]\s*)?>)/i

/** Whether a text is a drawing, by its first element. */
export function isSvg(text: string): boolean {
  let rest = text
  for (let part = prolog.exec(rest); part; part = prolog.exec(rest)) rest = rest.slice(part[0].length)
  return /^<(?:[\w.-]+:)?svg[\s/>]/i.test(rest)
}

/** The text in steps: words, a tag, or what is passed over. What fits none of them is no plain drawing. */
const step =
  /([^<]+)|<(\/?)([A-Za-z]+)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|<!--[\s\S]*?-->|<\?xml\s[^?<>]*\?>|<!DOCTYPE\s[^<>[\]]*>/y
const attribute = /([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g

/**
 * Whether a drawing is nothing but that. It is a list of what is taken, not of what is not: who looks for what is harmful
 * has forgotten something.
 */
export function isPlainDrawing(text: string): boolean {
  let inStyle = false
  step.lastIndex = 0
  while (step.lastIndex < text.length) {
    const found = step.exec(text)
    if (!found) return false
    const [, words, closing, name, attributes = '', empty] = found
    if (words !== undefined && inStyle && !isPlainStyle(words)) return false
    if (name === undefined) continue
    // the words of a style may not be taken apart by other elements
    if (!isPlainTag(name, attributes) || (inStyle && !(closing && name === 'style'))) return false
    inStyle = name === 'style' && !closing && !empty
  }
  return true
}

function isPlainTag(name: string, attributes: string): boolean {
  if (!elements.has(name)) return false
  for (const [, key = '', double, single] of attributes.matchAll(attribute))
    if (!isPlainAttribute(key, double ?? single ?? '')) return false
  return true
}

function isPlainAttribute(name: string, value: string): boolean {
  const local = name.slice(name.indexOf(':') + 1).toLowerCase()
  if (local.startsWith('on') || local === 'base') return false
  // of characters by their numbers anything can be made
  if (/&(?!(?:amp|lt|gt|quot|apos);)/.test(value)) return false
  if (local === 'href') return /^#[\w.:-]+$/.test(value)
  return isPlainStyle(value)
}

/** Styles, and the attributes that are read as such, may point into the drawing itself and nowhere else. */
const isPlainStyle = (style: string): boolean =>
  !/[\\@]|expression|-moz-binding|javascript:/i.test(style) && !/url\(\s*(?!["']?#)/i.test(style)
