import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import { isIP } from "node:net";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";

/** RFC 5758 §3.2. */
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const COMMON_NAME = "2.5.4.3";
const DAY_MS = 86_400_000;
/** For clients whose clock is behind. */
const BACKDATED_MS = DAY_MS;
const AUTHORITY_DAYS = 20 * 365;
/** Well below the 825 days that Apple's systems accept from an authority the user added, and short enough to be renewed often. */
const LEAF_DAYS = 90;

export interface Issued {
  readonly certificate: string;
  readonly key: KeyObject;
}

export interface Issuer {
  readonly certificate: string;
  readonly key: KeyObject;
}

const newKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

export const keyFromPem = (pem: Uint8Array): KeyObject => createPrivateKey(Buffer.from(pem));

/** A root that signs itself and may sign leaves only. */
export function makeAuthority(name: string, now: number): Issued {
  const key = newKey();
  const keyId = keyIdentifier(key);
  const subject = commonName(name);
  const extensions = [
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint: 0 }), true),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign), true),
    extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyId)),
  ];
  const part = { issuer: subject, subject, validity: validity(now, AUTHORITY_DAYS), extensions };
  return { certificate: signed(part, key, key), key };
}

/** A server's certificate for these names and addresses. */
export function makeLeaf(issuer: Issuer, names: readonly string[], now: number): Issued {
  const key = newKey();
  const authority = AsnConvert.parse(derOf(issuer.certificate), Certificate).tbsCertificate;
  const until = Math.min(now + LEAF_DAYS * DAY_MS, authority.validity.notAfter.getTime().getTime());
  const extensions = [
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), true),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), true),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth])),
    extension(id_ce_subjectAltName, new SubjectAlternativeName(names.map(generalName))),
    extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyIdentifier(key))),
    extension(
      id_ce_authorityKeyIdentifier,
      new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(keyIdentifier(issuer.key)) }),
    ),
  ];
  const part = {
    issuer: authority.subject,
    subject: commonName("Portreeve"),
    validity: new Validity({ notBefore: new Date(now - BACKDATED_MS), notAfter: new Date(until) }),
    extensions,
  };
  return { certificate: signed(part, key, issuer.key), key };
}

interface Part {
  readonly issuer: Name;
  readonly subject: Name;
  readonly validity: Validity;
  readonly extensions: Extension[];
}

function signed({ issuer, subject, validity, extensions }: Part, key: KeyObject, signer: KeyObject): string {
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer,
    validity,
    subject,
    subjectPublicKeyInfo: AsnConvert.parse(publicKeyDer(key), SubjectPublicKeyInfo),
    extensions: new Extensions(extensions),
  });
  const signature = sign("sha256", Buffer.from(AsnConvert.serialize(tbsCertificate)), signer);
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: bufferOf(signature),
  });
  return pemOf(Buffer.from(AsnConvert.serialize(certificate)));
}

/** RFC 5280 §4.1.2.2: positive, at most 20 octets, not to be guessed. */
function serialNumber(): ArrayBuffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return bufferOf(bytes);
}

const validity = (now: number, days: number): Validity =>
  new Validity({ notBefore: new Date(now - BACKDATED_MS), notAfter: new Date(now + days * DAY_MS) });

function commonName(name: string): Name {
  const value = new AttributeValue({ utf8String: name });
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: COMMON_NAME, value })])]);
}

function extension(extnID: string, value: object, critical = false): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function generalName(name: string): GeneralName {
  return isIP(name) === 0 ? new GeneralName({ dNSName: name }) : new GeneralName({ iPAddress: name });
}

const publicKeyDer = (key: KeyObject): Buffer => createPublicKey(key).export({ type: "spki", format: "der" });

/** RFC 7093 §2, method 1: the leftmost 160 bits of SHA-256 over the key. */
function keyIdentifier(key: KeyObject): ArrayBuffer {
  const info = AsnConvert.parse(publicKeyDer(key), SubjectPublicKeyInfo);
  const hash = createHash("sha256").update(Buffer.from(info.subjectPublicKey)).digest();
  return bufferOf(hash.subarray(0, 20));
}

const bufferOf = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;

function pemOf(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64");
}
