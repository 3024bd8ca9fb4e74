import java.io.FileInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** Reads a download from its first byte to its last, as a program does that gets it through a pipe. */
public class FrontToBack {
    public static void main(String[] files) throws Exception {
        for (String file : files) {
            try (InputStream bytes = new FileInputStream(file)) {
                read(bytes, "");
            }
        }
    }

    private static void read(InputStream bytes, String place) throws Exception {
        ZipInputStream zip = new ZipInputStream(bytes);
        for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
            String name = place + entry.getName();
            if (name.endsWith(".zip")) {
                read(new StaysOpen(zip), name + "!");
            } else {
                System.out.println(HexFormat.of().formatHex(digest(zip)) + " " + name);
            }
        }
    }

    private static byte[] digest(InputStream member) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-1");
        byte[] piece = new byte[1 << 16];
        for (int size = member.read(piece); size >= 0; size = member.read(piece)) {
            digest.update(piece, 0, size);
        }
        return digest.digest();
    }

    private static final class StaysOpen extends FilterInputStream {
        StaysOpen(InputStream inner) {
            super(inner);
        }

        @Override
        public void close() throws IOException {}
    }
}
