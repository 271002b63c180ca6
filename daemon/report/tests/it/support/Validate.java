import com.pixelmed.validate.DicomSRValidator;
import java.lang.reflect.Field;
import javax.xml.transform.Source;
import javax.xml.transform.Transformer;
import javax.xml.transform.URIResolver;

/**
 * Checks several structured reports with one instance of PixelMed's validator, as its own command with -checktemplateid does
 * one: its rules take five seconds to load. They also look up the table of codes once for each code, and read it each time,
 * because it comes without a name; given one, it is read once for each report. `java` compiles and runs this file.
 */
public class Validate {
    public static void main(String[] files) throws Exception {
        DicomSRValidator validator = new DicomSRValidator();
        for (String pass : new String[] {"transformerPass1", "transformerPass2"}) {
            Field field = DicomSRValidator.class.getDeclaredField(pass);
            field.setAccessible(true);
            Transformer transformer = (Transformer) field.get(validator);
            URIResolver own = transformer.getURIResolver();
            transformer.setURIResolver((href, base) -> {
                Source source = own.resolve(href, base);
                source.setSystemId(href);
                return source;
            });
        }
        for (String file : files) {
            System.out.println("File " + file);
            try {
                // What the command passes for -checktemplateid.
                System.out.print(validator.validate(file, false, true, false, true, false));
            } catch (Exception failed) {
                System.out.print("Exception " + failed);
            }
            System.out.println();
        }
    }
}
