// Speaks JOSE with npm's jose: one JSON request on each line of standard input, one answer on each line of output.
import * as jose from 'jose'
import { createInterface } from 'node:readline'

const bytes = (text) => jose.base64url.decode(text)
const text = (octets) => jose.base64url.encode(octets)

const actions = {
  async sign({ jwk, alg, payload, b64 }) {
    const header = b64 === false ? { alg, b64, crit: ['b64'] } : { alg }
    const made = await new jose.FlattenedSign(bytes(payload)).setProtectedHeader(header).sign(await jose.importJWK(jwk, alg))
    return b64 === false ? `${made.protected}..${made.signature}` : `${made.protected}.${made.payload}.${made.signature}`
  },
  async verify({ jwk, alg, token }) {
    const found = await jose.compactVerify(token, await jose.importJWK(jwk, alg), { algorithms: [alg] })
    return text(found.payload)
  },
  async verifyGeneral({ jwk, alg, document }) {
    return text((await jose.generalVerify(document, await jose.importJWK(jwk, alg), { algorithms: [alg] })).payload)
  },
  async encrypt({ jwk, alg, enc, plaintext, apu, apv }) {
    const encrypter = new jose.CompactEncrypt(bytes(plaintext)).setProtectedHeader({ alg, enc })
    if (apu) encrypter.setKeyManagementParameters({ apu: bytes(apu), apv: bytes(apv) })
    return encrypter.encrypt(await jose.importJWK(jwk, alg === 'dir' ? enc : alg))
  },
  async decrypt({ jwk, alg, enc, token }) {
    const key = await jose.importJWK(jwk, alg === 'dir' ? enc : alg)
    return text((await jose.compactDecrypt(token, key)).plaintext)
  },
  async encryptGeneral({ jwks, algs, enc, plaintext, aad }) {
    const made = new jose.GeneralEncrypt(bytes(plaintext)).setProtectedHeader({ enc }).setAdditionalAuthenticatedData(bytes(aad))
    for (const [index, jwk] of jwks.entries()) made.addRecipient(await jose.importJWK(jwk, algs[index])).setUnprotectedHeader({ alg: algs[index] })
    return made.encrypt()
  },
  async decryptGeneral({ jwk, alg, document }) {
    const found = await jose.generalDecrypt(document, await jose.importJWK(jwk, alg))
    return [text(found.plaintext), text(found.additionalAuthenticatedData)]
  },
  // Seconds for each of count signatures; for the bench
  async signRate({ jwk, alg, payload, count }) {
    const key = await jose.importJWK(jwk, alg)
    const octets = bytes(payload)
    const start = performance.now()
    for (let index = 0; index < count; index++) await new jose.CompactSign(octets).setProtectedHeader({ alg }).sign(key)
    return (performance.now() - start) / 1000 / count
  },
  async thumbprint({ jwk }) {
    return jose.calculateJwkThumbprint(jwk)
  },
  async jwt({ jwks, token, issuer, audience }) {
    const found = await jose.jwtVerify(token, jose.createLocalJWKSet(jwks), { issuer, audience })
    return found.payload
  },
  // Fetches the keys by itself
  async remoteJwt({ url, token, issuer }) {
    const found = await jose.jwtVerify(token, jose.createRemoteJWKSet(new URL(url), { cooldownDuration: 0 }), { issuer })
    return { header: found.protectedHeader, payload: found.payload }
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...request } = JSON.parse(line)
  let answer
  try {
    answer = { value: await actions[action](request) }
  } catch (error) {
    answer = { error: `${error.code ?? error.name}: ${error.message}` }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
