import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'

const folder = new URL('../../web/locales/', import.meta.url)
const base = 'en'
const languages = (await readdir(folder)).filter((name) => !name.includes('.')).sort()
const pluralForm = /_(zero|one|two|few|many|other)$/

type Texts = Record<string, string>

async function areasOf(language: string): Promise<Map<string, Texts>> {
  const names = (await readdir(new URL(`${language}/`, folder))).sort()
  const read = async (name: string): Promise<[string, Texts]> => [
    name.replace(/\.json$/, ''),
    JSON.parse(await readFile(new URL(`${language}/${name}`, folder), 'utf8')),
  ]
  return new Map(await Promise.all(names.map(read)))
}

/** What stands in place of values, each once, in the order of the alphabet. */
const placeholdersOf = (text: string): string[] =>
  [...new Set([...text.matchAll(/\{\{\s*([^}\s]+)\s*\}\}/g)].map(([, name = '']) => name))].sort()

/** Texts by key, those of all plural forms together. */
function byKey(texts: Texts): Map<string, string[]> {
  const keys = new Map<string, string[]>()
  for (const [key, text] of Object.entries(texts)) {
    const plain = key.replace(pluralForm, '')
    keys.set(plain, [...(keys.get(plain) ?? []), text])
  }
  return keys
}

const english = await areasOf(base)

describe('the texts of the page', () => {
  it('are there in more languages than one', () => {
    assert.ok(languages.includes(base) && languages.length > 1, languages.join(' '))
  })

  for (const language of languages) {
    describe(`in ${language}`, async () => {
      const areas = await areasOf(language)

      it('have the areas of English, all of them in the bundle', async () => {
        assert.deepEqual([...areas.keys()], [...english.keys()])
        const bundle = await readFile(new URL(`../src/locales.${language}.ts`, folder), 'utf8')
        const named = /resources = \{([^}]*)\}/.exec(bundle)?.[1]?.match(/\w+/g) ?? []
        const camel = [...areas.keys()].map((area) => area.replaceAll(/-(\w)/g, (_, letter) => letter.toUpperCase()))
        assert.deepEqual(named.toSorted(), camel.toSorted())
        for (const area of areas.keys()) assert.ok(bundle.includes(`'../locales/${language}/${area}.json'`), area)
      })

      for (const [area, texts] of areas) {
        const own = byKey(texts)
        const other = byKey(english.get(area) ?? {})

        it(`have the keys of English in ${area}`, () => {
          assert.deepEqual([...own.keys()].sort(), [...other.keys()].sort())
        })

        it(`are never empty in ${area}`, () => {
          for (const [key, text] of Object.entries(texts)) assert.ok(text.trim() !== '', key)
        })

        it(`name the values that English names in ${area}`, () => {
          for (const [key, forms] of own) {
            const wanted = placeholdersOf((other.get(key) ?? []).join(' '))
            assert.deepEqual(placeholdersOf(forms.join(' ')), wanted, key)
          }
        })

        it(`have just the plural forms that the language has in ${area}`, () => {
          const wanted = new Intl.PluralRules(language).resolvedOptions().pluralCategories.toSorted()
          const counted = new Set(
            Object.keys(texts)
              .filter((key) => pluralForm.test(key))
              .map((key) => key.replace(pluralForm, '')),
          )
          for (const key of counted) {
            const forms = wanted.filter((form) => `${key}_${form}` in texts)
            assert.deepEqual(forms, wanted, key)
            assert.ok(!(key in texts), `${key} has forms, and none as well`)
          }
          const known = Object.keys(texts).map((key) => pluralForm.exec(key)?.[1])
          for (const form of known) assert.ok(form === undefined || wanted.includes(form as Intl.LDMLPluralRule), form)
        })
      }
    })
  }
})
