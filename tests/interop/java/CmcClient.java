import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.lang.reflect.Method;
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.Security;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1EncodableVector;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1Primitive;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.DERUTF8String;
import org.bouncycastle.asn1.cmc.BodyPartID;
import org.bouncycastle.asn1.cmc.CMCObjectIdentifiers;
import org.bouncycastle.asn1.cmc.CMCStatusInfoV2;
import org.bouncycastle.asn1.cmc.DecryptedPOP;
import org.bouncycastle.asn1.cmc.EncryptedPOP;
import org.bouncycastle.asn1.cmc.GetCRL;
import org.bouncycastle.asn1.cmc.IdentityProofV2;
import org.bouncycastle.asn1.cmc.OtherMsg;
import org.bouncycastle.asn1.cmc.PKIData;
import org.bouncycastle.asn1.cmc.PKIResponse;
import org.bouncycastle.asn1.cmc.RevokeRequest;
import org.bouncycastle.asn1.cmc.TaggedAttribute;
import org.bouncycastle.asn1.cmc.TaggedCertificationRequest;
import org.bouncycastle.asn1.cmc.TaggedContentInfo;
import org.bouncycastle.asn1.cmc.TaggedRequest;
import org.bouncycastle.asn1.cmc.CertificationRequest;
import org.bouncycastle.asn1.crmf.CertReqMsg;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.CRLReason;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.ExtensionsGenerator;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.crmf.CertificateRequestMessage;
import org.bouncycastle.cert.crmf.jcajce.JcaCertificateRequestMessageBuilder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cmc.SimplePKIResponse;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.SignerInfoGenerator;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;
import org.bouncycastle.util.Store;

/**
 * A CMC client of Bouncy Castle's classes, and a reader of what others write. One whole life:
 *
 *   java -cp … CmcClient.java life URL USER SECRET NAME ROOT.der    every step prints one line; -Dcapture=FOLDER keeps
 *                                                                   what is sent
 *   java -cp … CmcClient.java reencode                              lines "Class base64" in, base64, or an error, out
 */
public final class CmcClient {
    private static final ASN1ObjectIdentifier PKI_DATA = CMCObjectIdentifiers.id_cct_PKIData;
    private static final ASN1ObjectIdentifier PKI_RESPONSE = CMCObjectIdentifiers.id_cct_PKIResponse;
    private static final ASN1ObjectIdentifier HMAC_SHA256 = PKCSObjectIdentifiers.id_hmacWithSHA256;
    private static final SecureRandom RANDOM = new SecureRandom();
    private static String url;
    private static X509Certificate root;

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        if (arguments[0].equals("reencode")) {
            reencode();
            return;
        }
        url = arguments[1];
        String user = arguments[2];
        byte[] secret = arguments[3].getBytes(StandardCharsets.UTF_8);
        String name = arguments[4];
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        root = (X509Certificate) factory.generateCertificate(
            new ByteArrayInputStream(Files.readAllBytes(Path.of(arguments[5]))));

        KeyPair first = ec();
        Answer answer = full(data(proof(user, secret, pkcs10(first, name)), pkcs10(first, name)), first, null);
        X509Certificate own = answer.certificateOf(first);
        System.out.println("enrolled " + own.getSerialNumber().toString(16) + " " + answer.statuses);

        KeyPair second = ec();
        answer = full(data(List.of(), pkcs10(second, name)), first, own);
        X509Certificate renewed = answer.certificateOf(second);
        System.out.println("renewed " + renewed.getSerialNumber().toString(16) + " " + answer.statuses);

        KeyPair third = rsa();
        TaggedRequest crmf = crmf(third, name);
        answer = full(data(proof(user, secret, crmf), crmf), third, null);
        System.out.println("crmf " + answer.certificateOf(third).getSerialNumber().toString(16) + " " + answer.statuses);

        KeyPair decrypting = rsa();
        TaggedRequest unsigned = unsigned(decrypting, name);
        answer = full(data(proof(user, secret, unsigned), unsigned), first, own);
        System.out.println("challenged " + answer.statuses);
        EncryptedPOP challenge = EncryptedPOP.getInstance(answer.control(CMCObjectIdentifiers.id_cmc_encryptedPOP));
        List<TaggedAttribute> controls = new ArrayList<>(proof(user, secret, challenge.getRequest()));
        controls.add(control(90, CMCObjectIdentifiers.id_cmc_decryptedPOP, decrypted(challenge, decrypting)));
        answer = full(data(controls, challenge.getRequest()), first, own);
        System.out.println("decrypted " + answer.certificateOf(decrypting).getSerialNumber().toString(16) + " "
            + answer.statuses);

        RevokeRequest revoke = new RevokeRequest(
            X500Name.getInstance(own.getIssuerX500Principal().getEncoded()),
            new ASN1Integer(own.getSerialNumber()), CRLReason.lookup(CRLReason.superseded), null, null, null);
        answer = full(data(List.of(control(1, CMCObjectIdentifiers.id_cmc_revokeRequest, revoke))), second, renewed);
        System.out.println("revoked " + answer.statuses);

        GetCRL crl = new GetCRL(X500Name.getInstance(own.getIssuerX500Principal().getEncoded()), null, null, null);
        boolean listed = false;
        for (int tries = 0; tries < 300 && !listed; tries++) {  // the next CRL comes within a second or so
            Thread.sleep(tries == 0 ? 0 : 200);
            answer = full(data(List.of(control(1, CMCObjectIdentifiers.id_cmc_getCRL, crl))), second, renewed);
            listed = answer.signed.getCRLs().getMatches(null).iterator().next()
                .getRevokedCertificate(own.getSerialNumber()) != null;
        }
        System.out.println("crl " + listed + " " + answer.statuses);

        answer = full(data(proof(user, "wrong".getBytes(), pkcs10(first, name)), pkcs10(first, name)), first, null);
        System.out.println("refused " + answer.statuses);

        byte[] body = post("application/pkcs10", PKCS10CertificationRequest.class.cast(
            request(first, name, new String(secret, StandardCharsets.UTF_8))).getEncoded());
        SimplePKIResponse simple = new SimplePKIResponse(body);
        System.out.println("simple " + simple.getCertificates().getMatches(null).size());
    }

    private static KeyPair ec() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "BC");
        generator.initialize(new ECGenParameterSpec("P-256"));
        return generator.generateKeyPair();
    }

    private static KeyPair rsa() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA", "BC");
        generator.initialize(2048);
        return generator.generateKeyPair();
    }

    private static ContentSigner signer(PrivateKey key) throws Exception {
        String algorithm = key.getAlgorithm().startsWith("EC") ? "SHA256withECDSA" : "SHA256withRSA";
        return new JcaContentSignerBuilder(algorithm).setProvider("BC").build(key);
    }

    // requests

    private static GeneralNames names(String name) {
        return new GeneralNames(new GeneralName(GeneralName.dNSName, name));
    }

    private static PKCS10CertificationRequest request(KeyPair pair, String name, String password) throws Exception {
        JcaPKCS10CertificationRequestBuilder builder =
            new JcaPKCS10CertificationRequestBuilder(new X500Name("CN=" + name), pair.getPublic());
        ExtensionsGenerator extensions = new ExtensionsGenerator();
        extensions.addExtension(Extension.subjectAlternativeName, false, names(name));
        builder.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, extensions.generate());
        if (password != null) {
            builder.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_challengePassword, new DERUTF8String(password));
        }
        return builder.build(signer(pair.getPrivate()));
    }

    private static final Map<KeyPair, TaggedRequest> MADE = new HashMap<>();

    private static TaggedRequest pkcs10(KeyPair pair, String name) throws Exception {
        if (!MADE.containsKey(pair)) {
            CertificationRequest inner = CertificationRequest.getInstance(request(pair, name, null).getEncoded());
            MADE.put(pair, new TaggedRequest(new TaggedCertificationRequest(new BodyPartID(50), inner)));
        }
        return MADE.get(pair);
    }

    private static TaggedRequest crmf(KeyPair pair, String name) throws Exception {
        JcaCertificateRequestMessageBuilder builder = new JcaCertificateRequestMessageBuilder(BigInteger.valueOf(51));
        builder.setSubject(new X500Name("CN=" + name));
        builder.setPublicKey(pair.getPublic());
        builder.addExtension(Extension.subjectAlternativeName, false, names(name));
        builder.setProofOfPossessionSigningKeySigner(signer(pair.getPrivate()));
        CertificateRequestMessage made = builder.build();
        return new TaggedRequest(CertReqMsg.getInstance(made.toASN1Structure()));
    }

    /** A PKCS#10 request whose key only decrypts: its signature is a digest (RFC 5272 appendix C.1). */
    private static TaggedRequest unsigned(KeyPair pair, String name) throws Exception {
        PKCS10CertificationRequest signed = request(pair, name, null);
        ASN1Encodable info = signed.toASN1Structure().getCertificationRequestInfo();
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(info.toASN1Primitive().getEncoded("DER"));
        ASN1EncodableVector parts = new ASN1EncodableVector();
        parts.add(info);
        parts.add(new AlgorithmIdentifier(new ASN1ObjectIdentifier("1.3.6.1.5.5.7.6.2"), DERNull.INSTANCE));
        parts.add(new org.bouncycastle.asn1.DERBitString(digest));
        CertificationRequest inner = CertificationRequest.getInstance(new DERSequence(parts));
        return new TaggedRequest(new TaggedCertificationRequest(new BodyPartID(52), inner));
    }

    private static TaggedAttribute control(long number, ASN1ObjectIdentifier type, ASN1Encodable value) {
        return new TaggedAttribute(new BodyPartID(number), type, new DERSet(value));
    }

    private static List<TaggedAttribute> proof(String user, byte[] secret, TaggedRequest... requests) throws Exception {
        byte[] sequence = new DERSequence(requests).getEncoded("DER");
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        digest.update(secret);
        digest.update(user.getBytes(StandardCharsets.UTF_8));
        byte[] witness = hmac(digest.digest(), sequence);
        byte[] nonce = new byte[16];
        RANDOM.nextBytes(nonce);
        return List.of(
            control(1, CMCObjectIdentifiers.id_cmc_identification, new DERUTF8String(user)),
            control(2, CMCObjectIdentifiers.id_cmc_identityProofV2, new IdentityProofV2(
                new AlgorithmIdentifier(NISTObjectIdentifiers.id_sha256), new AlgorithmIdentifier(HMAC_SHA256), witness)),
            control(3, CMCObjectIdentifiers.id_cmc_senderNonce, new DEROctetString(nonce)));
    }

    private static byte[] hmac(byte[] key, byte[] content) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(content);
    }

    private static DecryptedPOP decrypted(EncryptedPOP challenge, KeyPair pair) throws Exception {
        CMSEnvelopedData enveloped = new CMSEnvelopedData(challenge.getCms());
        RecipientInformation recipient = enveloped.getRecipientInfos().getRecipients().iterator().next();
        byte[] value = recipient.getContent(new JceKeyTransEnvelopedRecipient(pair.getPrivate()).setProvider("BC"));
        byte[] witness = MessageDigest.getInstance(
            challenge.getWitnessAlgID().getAlgorithm().getId(), "BC").digest(value);
        if (!MessageDigest.isEqual(witness, challenge.getWitness())) {
            throw new IllegalStateException("witness");
        }
        byte[] proof = hmac(value, challenge.getRequest().toASN1Primitive().getEncoded("DER"));
        return new DecryptedPOP(new BodyPartID(52), challenge.getThePOPAlgID(), proof);
    }

    private static PKIData data(List<TaggedAttribute> controls, TaggedRequest... requests) {
        return new PKIData(controls.toArray(new TaggedAttribute[0]), requests,
            new TaggedContentInfo[0], new OtherMsg[0]);
    }

    // the exchange

    private static Answer full(PKIData content, KeyPair pair, X509Certificate certificate) throws Exception {
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        ContentSigner signer = signer(pair.getPrivate());
        JcaSignerInfoGeneratorBuilder builder = new JcaSignerInfoGeneratorBuilder(
            new JcaDigestCalculatorProviderBuilder().setProvider("BC").build());
        SignerInfoGenerator info;
        if (certificate == null) {
            info = builder.build(signer, new JcaX509ExtensionUtils()
                .createSubjectKeyIdentifier(pair.getPublic()).getKeyIdentifier());
        } else {
            info = builder.build(signer, certificate);
            generator.addCertificates(new JcaCertStore(List.of(certificate)));
        }
        generator.addSignerInfoGenerator(info);
        CMSSignedData signed = generator.generate(
            new CMSProcessableByteArray(PKI_DATA, content.getEncoded("DER")), true);
        return new Answer(post("application/pkcs7-mime; smime-type=CMC-request", signed.getEncoded()));
    }

    private static int sent;

    private static byte[] post(String type, byte[] body) throws Exception {
        if (System.getProperty("capture") != null) {
            Files.write(Path.of(System.getProperty("capture"), String.format("%02d.der", ++sent)), body);
        }
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).header("Content-Type", type)
            .POST(HttpRequest.BodyPublishers.ofByteArray(body)).build();
        HttpResponse<byte[]> response = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()
            .send(request, HttpResponse.BodyHandlers.ofByteArray());
        if (response.statusCode() != 200) {
            throw new IllegalStateException(response.statusCode() + " " + new String(response.body()));
        }
        return response.body();
    }

    private static final class Answer {
        final CMSSignedData signed;
        final PKIResponse response;
        final Set<X509Certificate> certificates = new HashSet<>();
        final List<String> statuses = new ArrayList<>();

        Answer(byte[] encoded) throws Exception {
            signed = new CMSSignedData(encoded);
            if (!signed.getSignedContentTypeOID().equals(PKI_RESPONSE.getId())) {
                throw new IllegalStateException(signed.getSignedContentTypeOID());
            }
            Store<X509CertificateHolder> store = signed.getCertificates();
            for (X509CertificateHolder holder : store.getMatches(null)) {
                certificates.add(new JcaX509CertificateConverter().setProvider("BC").getCertificate(holder));
            }
            SignerInformation signer = signed.getSignerInfos().getSigners().iterator().next();
            X509CertificateHolder own = (X509CertificateHolder) store.getMatches(signer.getSID()).iterator().next();
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(own))) {
                throw new IllegalStateException("signature");
            }
            X509Certificate responder = new JcaX509CertificateConverter().setProvider("BC").getCertificate(own);
            path(responder);
            if (!responder.getExtendedKeyUsage().contains("1.3.6.1.5.5.7.3.27")) {
                throw new IllegalStateException("not a CMC responder");
            }
            response = PKIResponse.getInstance(signed.getSignedContent().getContent());
            for (int i = 0; i < response.getControlSequence().size(); i++) {
                TaggedAttribute one = TaggedAttribute.getInstance(response.getControlSequence().getObjectAt(i));
                if (one.getAttrType().equals(CMCObjectIdentifiers.id_cmc_statusInfoV2)) {
                    statuses.add(describe(CMCStatusInfoV2.getInstance(one.getAttrValues().getObjectAt(0))));
                }
            }
        }

        private static String describe(CMCStatusInfoV2 status) {
            StringBuilder found = new StringBuilder(status.getcMCStatus().toASN1Primitive().toString());
            for (BodyPartID part : status.getBodyList()) {
                found.append('/').append(part.toASN1Primitive());
            }
            if (status.getOtherStatusInfo() != null) {
                found.append(':').append(status.getOtherStatusInfo().toASN1Primitive());
            }
            return found.toString();
        }

        private void path(X509Certificate target) throws Exception {
            X509CertSelector selector = new X509CertSelector();
            selector.setCertificate(target);
            PKIXBuilderParameters parameters =
                new PKIXBuilderParameters(Set.of(new TrustAnchor(root, null)), selector);
            parameters.setRevocationEnabled(false);
            parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(certificates)));
            CertPathBuilder.getInstance("PKIX").build(parameters);
        }

        X509Certificate certificateOf(KeyPair pair) throws Exception {
            byte[] wanted = SubjectPublicKeyInfo.getInstance(pair.getPublic().getEncoded()).getEncoded("DER");
            for (X509Certificate one : certificates) {
                byte[] found = SubjectPublicKeyInfo.getInstance(one.getPublicKey().getEncoded()).getEncoded("DER");
                if (MessageDigest.isEqual(found, wanted)) {
                    path(one);
                    return one;
                }
            }
            throw new IllegalStateException("no certificate: " + statuses);
        }

        ASN1Encodable control(ASN1ObjectIdentifier type) {
            for (int i = 0; i < response.getControlSequence().size(); i++) {
                TaggedAttribute one = TaggedAttribute.getInstance(response.getControlSequence().getObjectAt(i));
                if (one.getAttrType().equals(type)) {
                    return one.getAttrValues().getObjectAt(0);
                }
            }
            throw new IllegalStateException("no control " + type);
        }
    }

    // a second reader

    private static void reencode() throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] parts = line.split(" ");
            ASN1Primitive value = ASN1Primitive.fromByteArray(Base64.getDecoder().decode(parts[1]));
            Class<?> type = Class.forName("org.bouncycastle.asn1." + parts[0]);
            Method read = type.getMethod("getInstance", Object.class);
            try {
                ASN1Encodable found = (ASN1Encodable) read.invoke(null, value);
                System.out.println(Base64.getEncoder().encodeToString(found.toASN1Primitive().getEncoded("DER")));
            } catch (java.lang.reflect.InvocationTargetException error) {
                System.out.println("error: " + error.getCause());
            }
        }
    }
}
